#version 410 core
#include "common/frame.glsl"
uniform int u_light;
in vec3 a_position;
void main() {
    vec3 at = (u_shadow_from_world[u_light] * vec4(a_position, 1.0)).xyz;
    gl_Position = vec4(at * 2.0 - 1.0, 1.0);
}
