"""Options of tmc3, by mode: those of MPEG's common test conditions, and what was found better."""

from __future__ import annotations

OCTREE = {
    "trisoupNodeSizeLog2": "0",
    "neighbourAvailBoundaryLog2": "8",
    "intra_pred_max_node_size_log2": "6",
    "maxNumQtBtBeforeOt": "4",
    "minQtbtSizeLog2": "0",
    "planarModeIdcmUse": "0",
    "mergeDuplicatedPoints": "0",
    "positionQuantizationScale": "1",
    "inferredDirectCodingMode": "1",
    "planarEnabled": "0",
}
PLANAR = {**OCTREE, "planarEnabled": "1"}
PREDICTIVE = {"geomTreeType": "1", "mergeDuplicatedPoints": "0", "positionQuantizationScale": "1"}
# Rate label -> positionQuantizationScale, for clouds of 10 bits.
OCTREE_RATES = {
    "r06": "15/16",
    "r05": "7/8",
    "r04": "3/4",
    "r03": "1/2",
    "r02": "1/4",
    "r01": "1/8",
}
TRISOUP_RATES = {"r04": 2, "r03": 3, "r02": 4, "r01": 5}  # rate label -> trisoupNodeSizeLog2
# MPEG's conditions for frames of a spinning scanner.
CAT3_OCTREE = {
    "inferredDirectCodingMode": "3",
    "partitionMethod": "0",
    "maxNumQtBtBeforeOt": "6",
    "planarModeIdcmUse": "32",
}
ANGULAR_PREDICTIVE = {
    "predGeomAzimuthSortPrecision": "1024",
    "positionAzimuthScaleLog2": "12",
    "resRContextQphiThresholdPresentFlag": "1",
    "resRContextQphiThreshold": "0",
}
OCTREE_MODES = {"octree": OCTREE, "octree planar": PLANAR}
SCAN_MODES = {
    **OCTREE_MODES,
    **{f"predgeom sort {n}": {**PREDICTIVE, "predGeomSort": str(n)} for n in range(3)},
}

# Colours follow an octree. What stands before `attribute` is said of it.
_COLOURS = {"convertPlyColourspace": "1", "bitdepth": "8", "attrOffset": "0", "attrScale": "1"}
_EXACT = {**_COLOURS, "colourMatrix": "8", "qp": "4"}
_LAST = {"attribute": "color"}
PREDICTING = {
    **_EXACT,
    "transformType": "1",
    "numberOfNearestNeighborsInPrediction": "3",
    "levelOfDetailCount": "12",
    "intraLodPredictionSkipLayers": "0",
    "interComponentPredictionEnabled": "0",
    "adaptivePredictionThreshold": "64",
    "qpChromaOffset": "0",
    **_LAST,
}
HAAR = {**_EXACT, "transformType": "0", "integerHaar": "1", "qpChromaOffset": "-1", **_LAST}
COLOUR_MODES = {
    "octree, colours predicted": {**OCTREE, **PREDICTING},
    "octree, colours by Haar transform": {**OCTREE, **HAAR},
}
RAHT_QUANTIZERS = (22, 28, 34, 40, 46, 51)


def raht(quantizer: int) -> dict[str, str]:
    """Lossless geometry, colours by the region-adaptive transform."""
    return {
        **OCTREE,
        **_COLOURS,
        "transformType": "0",
        "rahtPredictionSearchRange": "50000",
        "qpChromaOffset": "-1",
        "qp": str(quantizer),
        **_LAST,
    }


def trisoup(size: int) -> dict[str, str]:
    """The surface within nodes of 2**size voxels."""
    refined = "0" if size == 2 else "1"
    return {
        **OCTREE,
        "mergeDuplicatedPoints": "1",
        "inferredDirectCodingMode": "0",
        "trisoupNodeSizeLog2": str(size),
        "trisoupQuantizationBits": "2",
        "trisoupCentroidResidualEnabled": refined,
        "trisoupFaceVertexEnabled": refined,
        "sliceMaxPointsTrisoup": "1100000",
    }
