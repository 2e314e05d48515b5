#version 410 core
#include "common/frame.glsl"
uniform int u_light;
in vec3 a_position;
void main() {
    vec4 at = u_shadow_from_world[u_light] * vec4(a_position, 1.0);
    gl_Position = vec4(at.xyz * 2.0 - at.w, at.w);
}
