#version 410 core
// The weighted sum of COUNT changes of one size, all tiles of them (see common/change.glsl) at once.
// With SIDED, weights differ between the subject's left and right.
#include "common/channels.glsl"
uniform sampler2D t_change[COUNT];
uniform vec2 u_weight[COUNT];      // left, right
#if defined(SIDED)
uniform sampler2D t_left;          // share of the left side
in vec2 v_square;
#endif
out vec4 o_sum;
void main() {
    #if defined(SIDED)
    float left = textureLod(t_left, vec2(v_square.x, fract(v_square.y * float(CHANGE_TILES))), 0.0).r;
    #else
    const float left = 1.0;
    #endif
    ivec2 texel = ivec2(gl_FragCoord.xy);
    o_sum = vec4(0.0);
    for (int index = 0; index < COUNT; ++index)
        o_sum += mix(u_weight[index].y, u_weight[index].x, left) * texelFetch(t_change[index], texel, 0);
}
