#version 410 core
// Fills one tile of the environment atlas with GGX-filtered radiance.
// Karis 2013, "Real Shading in Unreal Engine 4"; Krivanek and Colbert 2008, "Real-time Shading with Filtered Importance
// Sampling" (GPU Gems 3 ch. 20): each sample reads the source from the mip level whose texel it stands for.
#include "common/octahedron.glsl"
#include "common/equirect.glsl"
#include "lighting/ggx.glsl"

uniform sampler2D t_source;        // equirectangular, linear, with mip levels
uniform vec2 u_tile_corner;        // texels
uniform float u_roughness;         // perceptual
uniform int u_samples;
out vec4 o_color;

float radical_inverse(uint bits) {
    bits = (bits << 16u) | (bits >> 16u);
    bits = ((bits & 0x55555555u) << 1u) | ((bits & 0xAAAAAAAAu) >> 1u);
    bits = ((bits & 0x33333333u) << 2u) | ((bits & 0xCCCCCCCCu) >> 2u);
    bits = ((bits & 0x0F0F0F0Fu) << 4u) | ((bits & 0xF0F0F0F0u) >> 4u);
    bits = ((bits & 0x00FF00FFu) << 8u) | ((bits & 0xFF00FF00u) >> 8u);
    return float(bits) * 2.3283064365386963e-10;
}

vec3 source(vec3 direction, float lod) { return textureLod(t_source, equirect_from_direction(direction), lod).rgb; }

void main() {
    vec2 at = (gl_FragCoord.xy - u_tile_corner - 1.0) / (ATLAS_TILE - 2.0);
    vec3 n = direction_from_octahedron(at);
    vec2 size = vec2(textureSize(t_source, 0));
    // Solid angle of a source texel at the equator; towards the poles texels are smaller and the sample reads a little
    // too sharp, never too blurred.
    float texel = 2.0 * PI * PI / (size.x * size.y);
    if (u_roughness <= 0.0) {
        float own = 4.0 * PI / square(ATLAS_TILE - 2.0);
        o_color = vec4(source(n, max(0.5 * log2(own / texel), 0.0)), 1.0);
        return;
    }
    float alpha = alpha_from_roughness(u_roughness);
    vec3 side = normalize(cross(abs(n.y) < 0.9 ? vec3(0.0, 1.0, 0.0) : vec3(1.0, 0.0, 0.0), n));
    vec3 up = cross(n, side);
    vec3 sum = vec3(0.0);
    float weights = 0.0;
    for (int i = 0; i < u_samples; ++i) {
        float phi = 2.0 * PI * radical_inverse(uint(i));
        float x = (float(i) + 0.5) / float(u_samples);
        float NoH2 = (1.0 - x) / (1.0 + (alpha * alpha - 1.0) * x);
        float NoH = sqrt(NoH2);
        float NoL = 2.0 * NoH2 - 1.0;      // with the eye on the normal
        if (NoL <= 0.0) continue;
        float sine = 2.0 * NoH * sqrt(max(1.0 - NoH2, 0.0));
        vec3 l = (side * cos(phi) + up * sin(phi)) * sine + n * NoL;
        float pdf = ggx_distribution(NoH, alpha) * 0.25;
        float lod = 0.5 * log2(1.0 / (float(u_samples) * pdf * texel));
        sum += source(l, max(lod, 0.0)) * NoL;
        weights += NoL;
    }
    o_color = vec4(sum / weights, 1.0);
}
