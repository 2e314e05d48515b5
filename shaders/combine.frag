#version 410 core
// Puts light and albedo together and ends the picture, or with LINEAR leaves light as it is for a sum of frames. Each
// input may be the mean of any number of samples.
#include "common/display.glsl"

uniform sampler2D t_scattered;     // as scatter.frag leaves it
uniform sampler2D t_reflected;     // a share of the pixel that is covered
uniform sampler2D t_albedo;        // of what spreads light
uniform sampler2D t_depth;
uniform ivec2 u_corner;            // texel of the inputs under the lower-left pixel of the target
out vec4 o_color;                  // blended over the backdrop; with LINEAR alpha is associated

void main() {
    ivec2 texel = ivec2(gl_FragCoord.xy) + u_corner;
    vec4 reflected = texelFetch(t_reflected, texel, 0);
    if (reflected.a <= 0.0) discard;
    vec4 scattered = texelFetch(t_scattered, texel, 0);
    vec3 light = reflected.rgb + scattered.rgb * texelFetch(t_albedo, texel, 0).rgb / max(scattered.a, 1e-4);
    #if defined(LINEAR)
    o_color = vec4(light, reflected.a);
    #else
    o_color = vec4(display_from_light(light / reflected.a), reflected.a);
    #endif
    gl_FragDepth = texelFetch(t_depth, texel, 0).r;  // wires are drawn over it
}
