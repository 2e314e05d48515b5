#version 410 core
#include "common/frame.glsl"
in vec3 a_position;                // m
void main() { gl_Position = u_clip_from_world * vec4(a_position, 1.0); }
