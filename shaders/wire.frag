#version 410 core
out vec4 o_color;
void main() { o_color = vec4(0.02, 0.02, 0.02, 1.0); }
