#version 410 core
// Spreads the light inside the skin along one axis of the screen; two passes, across and up, make a disc of it.
// Jimenez, Zsolnai, Jarabo, Freude, Auzinger, Wu, von der Pahlen, Wimmer and Gutierrez 2015, "Separable Subsurface
// Scattering": a kernel in millimetres of skin, seen at the surface's depth. It holds no albedo, which a captured map has
// blurred already.
#include "common/frame.glsl"

const int MOST_TAPS = 25;
const float APART_M2 = 2.0 * 1.99e-6;  // twice the variance of the profile's main Gaussian, across depth

uniform sampler2D t_scattered;     // rgb light, a 1 where it spreads; both times the share of the pixel that is covered
uniform sampler2D t_depth;
uniform vec4 u_taps[MOST_TAPS];    // share of each channel, offset (m); the middle first
uniform int u_count;
uniform vec2 u_step;               // one pixel along the axis, in texture coordinates
uniform float u_pixels_per_m;      // at a depth of 1 m
uniform float u_most_pixels_per_m;
out vec4 o_scattered;

// Distance along the view axis: the last row of the inverse projection alone says it.
float view_depth_m(vec2 at) {
    vec3 clip = vec3(at, textureLod(t_depth, at, 0.0).r) * 2.0 - 1.0;
    vec4 row = vec4(u_world_from_clip[0].w, u_world_from_clip[1].w, u_world_from_clip[2].w, u_world_from_clip[3].w);
    return 1.0 / dot(row, vec4(clip, 1.0));
}

void main() {
    ivec2 texel = ivec2(gl_FragCoord.xy);
    vec4 middle = texelFetch(t_scattered, texel, 0);
    o_scattered = middle;
    if (middle.a <= 0.0) return;
    vec2 at = gl_FragCoord.xy / vec2(textureSize(t_scattered, 0));
    float depth = view_depth_m(at);
    vec2 per_m = u_step * min(u_pixels_per_m / depth, u_most_pixels_per_m);
    vec3 own = middle.rgb / middle.a;
    vec3 sum = own * u_taps[0].rgb;
    for (int index = 1; index < u_count; ++index) {
        vec2 there = at + u_taps[index].a * per_m;
        vec4 light = textureLod(t_scattered, there, 0.0);
        float apart = view_depth_m(there) - depth;
        // Light that would cross air or leave the skin stays: what one pixel does not give the other does not get.
        float joined = min(light.a, 1.0) * exp(-apart * apart / APART_M2) * float(there == clamp(there, 0.0, 1.0));
        sum += u_taps[index].rgb * mix(own, light.rgb / max(light.a, 1e-4), joined);
    }
    o_scattered.rgb = sum * middle.a;
}
