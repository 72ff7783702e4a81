"""A small web server: a page to hand a radiograph in, its report, and the json for programs."""
