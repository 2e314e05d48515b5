#version 410 core
// The mean of the frames of a picture that converges, as display values with straight alpha.
#include "common/display.glsl"
uniform sampler2D t_sum;           // linear light, alpha associated; sums over all frames
uniform float u_share;             // 1 / number of frames
uniform float u_presence;          // how much of it is to be seen
out vec4 o_color;
void main() {
    vec4 mean = texelFetch(t_sum, ivec2(gl_FragCoord.xy), 0) * u_share;
    o_color = vec4(display_from_light(mean.rgb / max(mean.a, 1e-4)), mean.a * u_presence);
}
