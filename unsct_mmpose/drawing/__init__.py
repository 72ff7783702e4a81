"""Pictures without OpenMMLab: landmarks, measurements, maps, the paper's figures; one style."""
