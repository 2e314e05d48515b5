#version 410 core
// Each vertex is one texel of the target: does it see the sky in the direction of the "key light"?
#include "lighting/shadow.glsl"
in vec3 a_position;
in vec3 a_normal;
uniform ivec2 u_size;
flat out float v_visible;
flat out float v_cosine;
void main() {
    v_cosine = max(dot(a_normal, u_key_direction.xyz), 0.0);
    v_visible = v_cosine > 0.0 ? shadow_visibility(a_position + a_normal * u_shadow.y) : 0.0;
    ivec2 texel = ivec2(gl_VertexID % u_size.x, gl_VertexID / u_size.x);
    gl_Position = vec4((vec2(texel) + 0.5) / vec2(u_size) * 2.0 - 1.0, 0.0, 1.0);
    gl_PointSize = 1.0;
}
