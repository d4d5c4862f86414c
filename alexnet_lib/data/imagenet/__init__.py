"""ImageNet, prepared once and then read fast: `preparation.prepare(src, dst)` and `reader.PreparedImages(dst, split)`.

    python -m alexnet_lib data prepare-imagenet SRC DST

Paper section 2 (shorter side 256, central square, mean image) and 4.1 (colour PCA). What a prepared folder holds:
`store`; which sources can be read: `sources`; what is done with odd images: `decode`. Taught in "The data".
"""
