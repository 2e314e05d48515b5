#version 410 core
// The environment as a blurred backdrop.
#include "common/display.glsl"
#include "lighting/environment.glsl"
in vec2 v_square;
out vec4 o_color;
void main() {
    vec4 far = u_world_from_clip * vec4(v_square * 2.0 - 1.0, 1.0, 1.0);
    vec3 direction = normalize(far.xyz / far.w - u_eye_m.xyz);
    o_color = vec4(display_from_light(environment_specular(direction, 0.3)), 1.0);
}
