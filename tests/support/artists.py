"""What is drawn in a figure, as numbers."""

import numpy as np


def points_of(axis, label):
    """The (x, y) of the line with a label."""
    line = next(line for line in axis.lines if line.get_label() == label)
    return list(
        zip(*(np.asarray(values, float).tolist() for values in line.get_data()), strict=True)
    )


def labels_of(axis):
    """Labels that a legend shows."""
    return axis.get_legend_handles_labels()[1]


def check_filled(figure):
    """Every axes, and there is one, has a line, an image or a mesh with a finite number."""
    assert figure.axes
    for axis in figure.axes:
        lines = [np.isfinite(np.asarray(line.get_ydata(), float)).any() for line in axis.lines]
        images = [np.ma.count(np.ma.masked_invalid(image.get_array())) for image in axis.images]
        meshes = [len(np.atleast_1d(mesh.get_paths())) for mesh in axis.collections]
        assert any(lines) or any(images) or any(meshes), axis.get_title()
