#version 410 core
// Applies the summed change to the neutral maps: the same formula as engine.composer.compose_maps.
// Ratios: Li et al. 2025, "TexTalker"; slopes: Barre-Brisebois and Hill 2012, "Blending in Detail".
#include "common/color.glsl"
uniform sampler2D t_neutral_diffuse;   // sRGB-encoded bytes
uniform sampler2D t_neutral_specular;  // rgb specular, a perceptual roughness
uniform sampler2D t_neutral_slope;
uniform sampler2D t_log_diffuse;
uniform sampler2D t_log_specular;
uniform sampler2D t_slope;
uniform float u_log_floor;
in vec2 v_square;
layout(location = 0) out vec4 o_diffuse;
layout(location = 1) out vec4 o_specular;
layout(location = 2) out vec2 o_slope;
void main() {
    ivec2 texel = ivec2(gl_FragCoord.xy);
    vec4 log_diffuse = textureLod(t_log_diffuse, v_square, 0.0);
    vec3 log_specular = textureLod(t_log_specular, v_square, 0.0).rgb;
    vec3 albedo = linear_from_srgb(texelFetch(t_neutral_diffuse, texel, 0).rgb);
    vec4 specular = texelFetch(t_neutral_specular, texel, 0);
    albedo = (albedo + u_log_floor) * exp(log_diffuse.rgb) - u_log_floor;
    specular.rgb = (specular.rgb + u_log_floor) * exp(log_specular) - u_log_floor;
    o_diffuse = vec4(srgb_from_linear(albedo), 1.0);
    o_specular = clamp(vec4(specular.rgb, specular.a + log_diffuse.a), 0.0, 1.0);
    o_slope = texelFetch(t_neutral_slope, texel, 0).rg + textureLod(t_slope, v_square, 0.0).rg;
}
