//! Pictures out of coded video: decoding, scaling, JPEG.
