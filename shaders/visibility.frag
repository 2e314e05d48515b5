#version 410 core
// Each texel is one vertex: is the sky in the direction of light 0 hidden?
#include "lighting/shadow.glsl"
uniform sampler2D t_position;
uniform sampler2D t_normal;
out float o_hidden;
void main() {
    ivec2 texel = ivec2(gl_FragCoord.xy);
    vec3 normal = texelFetch(t_normal, texel, 0).xyz;
    float cosine = max(dot(normal, u_light_direction[0].xyz), 0.0);
    float visible = shadow_visibility(0, texelFetch(t_position, texel, 0).xyz, normal);
    // Light that grazes the surface is of little weight, and the shadow map cannot tell the surface from itself there.
    o_hidden = (1.0 - visible) * smoothstep(0.0, 0.2, cosine);
}
