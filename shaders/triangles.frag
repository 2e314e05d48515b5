#version 410 core
// Which triangle each pixel shows, numbered from 1: floats hold whole numbers up to 2^24.
out float o_number;
void main() { o_number = float(gl_PrimitiveID + 1); }
