#version 410 core
// Applies the summed changes to the neutral maps: the same formula as engine.composer.compose_maps.
// Ratios: Li et al. 2025, "TexTalker"; slopes: Barre-Brisebois and Hill 2012, "Blending in Detail".
#include "common/change.glsl"
#include "common/color.glsl"
uniform sampler2D t_neutral_diffuse;   // sRGB-encoded bytes
uniform sampler2D t_neutral_specular;  // rgb specular, a perceptual roughness
uniform sampler2D t_neutral_slope;
in vec2 v_square;
layout(location = 0) out vec4 o_diffuse;
layout(location = 1) out vec4 o_specular;
layout(location = 2) out vec4 o_slope;          // b its square, for mip levels: see slope_variance
void main() {
    ivec2 texel = ivec2(gl_FragCoord.xy);
    Change change = change_at(v_square);
    vec3 albedo = linear_from_srgb(texelFetch(t_neutral_diffuse, texel, 0).rgb);
    vec4 specular = texelFetch(t_neutral_specular, texel, 0);
    o_diffuse = vec4(srgb_from_linear(changed(albedo, change.log_diffuse)), 1.0);
    o_specular = vec4(changed(specular.rgb, change.log_specular), saturate(specular.a + change.roughness));
    vec2 slope = texelFetch(t_neutral_slope, texel, 0).rg + change.slope;
    o_slope = vec4(slope, min(dot(slope, slope), 6e4), 1.0);
}
