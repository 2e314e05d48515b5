#version 410 core
#include "common/frame.glsl"
flat in float v_visible;
flat in float v_cosine;
layout(location = 0) out vec4 o_sky;
layout(location = 1) out vec2 o_cosine;
void main() {
    o_sky = vec4(u_key_direction.xyz, 1.0) * v_visible;
    o_cosine = vec2(v_visible, 1.0) * v_cosine;
}
