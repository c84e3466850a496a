"""What answers: loads an artefact with numpy, onnxruntime and tokenizers alone."""
