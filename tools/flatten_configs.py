"""`unsct flatten-configs` of this checkout."""

from _launch import launch

if __name__ == '__main__':
    launch('flatten-configs')
