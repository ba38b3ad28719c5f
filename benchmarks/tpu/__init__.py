"""What kerasvit's programs cost on a TPU, by the TPU's own compiler, without a TPU."""
