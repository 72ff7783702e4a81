"""`unsct test` of this checkout, which is the installed MMPose's own script."""

from _launch import launch

if __name__ == '__main__':
    launch('test')
