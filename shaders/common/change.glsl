#include "common/channels.glsl"
#include "common/math.glsl"

// What expressions change in the maps, as engine/channels.py says, whether it makes new maps or is applied while shading.
// CHANGES textures, each a change or a sum of changes: its channels, four to a tile, one tile above the other.
uniform sampler2D t_change[CHANGES];
uniform float u_weight[CHANGES];

Change change_at(vec2 uv) {
    vec4 sum[CHANGE_TILES];
    for (int tile = 0; tile < CHANGE_TILES; ++tile)
        sum[tile] = vec4(0.0);
    const float tiles = float(CHANGE_TILES);
    for (int index = 0; index < CHANGES; ++index) {
        float half_texel = 0.5 * tiles / float(textureSize(t_change[index], 0).y);   // or a neighbouring tile bleeds in
        vec2 at = vec2(uv.x, clamp(uv.y, half_texel, 1.0 - half_texel) / tiles);
        for (int tile = 0; tile < CHANGE_TILES; ++tile)
            sum[tile] += u_weight[index] * textureLod(t_change[index], at + vec2(0.0, float(tile) / tiles), 0.0);
    }
    return unpacked(sum);
}

// Albedo or specular intensity 0..1, linear. Li et al. 2025, "TexTalker".
vec3 changed(vec3 neutral, vec3 log_ratio) { return saturate((neutral + LOG_FLOOR) * exp(log_ratio) - LOG_FLOOR); }
