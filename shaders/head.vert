#version 410 core
#include "common/frame.glsl"
in vec3 a_position;                // m
in vec3 a_normal;
#if defined(PLAIN)
in vec2 a_offset;                  // m, distance from neutral, and along its normal
out vec2 v_offset;
#endif
in vec2 a_uv;                      // origin top-left
in vec2 a_still;                   // occlusion 0..1, curvature 1/m
in vec4 a_sky;                     // visibility in direction d is w + xyz . d
in vec4 a_reach;                   // rgb, share of the environment's light that gets there
#if defined(STRANDS)
in vec3 a_wider;                   // m, from here to where a strand is in coarse pictures
uniform float u_coarse;            // 1 in those, else 0
#endif
out vec3 v_position;
out vec3 v_normal;
out vec2 v_uv;
out vec2 v_still;                  // occlusion, curvature
out vec4 v_sky;
out vec3 v_reach;
void main() {
    v_position = a_position;
    #if defined(STRANDS)
    v_position += u_coarse * a_wider;
    #endif
    v_normal = a_normal;
    v_uv = a_uv;
    v_still = a_still;
    v_sky = a_sky;
    v_reach = a_reach.rgb;
    #if defined(PLAIN)
    v_offset = a_offset;
    #endif
    #if defined(FLAT)
    gl_Position = u_clip_from_world * vec4(a_uv, 0.0, 1.0);
    #else
    gl_Position = u_clip_from_world * vec4(v_position, 1.0);
    #endif
}
