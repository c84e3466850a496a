"""What a decoder-only transformer is made of: its shape, and from it parameters, memory and arithmetic."""
