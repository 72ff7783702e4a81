"""The mathematics: numpy, scipy and torch, without OpenMMLab and without files."""
