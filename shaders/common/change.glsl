#include "common/math.glsl"

// What expressions change in the maps: the formula of engine.expression.ReflectanceChange, whether it makes new maps or
// is applied while shading. CHANGES textures, each a change or a sum of changes: three tiles, one above the other: log
// ratio of albedo with difference of roughness, log ratio of specular, difference of slope.
uniform sampler2D t_change[CHANGES];
uniform float u_weight[CHANGES];

const float LOG_FLOOR = 0.02;      // engine/expression.py

struct Change {
    vec4 log_diffuse;              // a difference of perceptual roughness
    vec3 log_specular;
    vec2 slope;
};

Change change_at(vec2 uv) {
    Change sum = Change(vec4(0.0), vec3(0.0), vec2(0.0));
    for (int index = 0; index < CHANGES; ++index) {
        float half_texel = 1.5 / float(textureSize(t_change[index], 0).y);   // or a neighbouring tile bleeds in
        vec2 at = vec2(uv.x, clamp(uv.y, half_texel, 1.0 - half_texel) / 3.0);
        float weight = u_weight[index];
        sum.log_diffuse += weight * textureLod(t_change[index], at, 0.0);
        sum.log_specular += weight * textureLod(t_change[index], at + vec2(0.0, 1.0 / 3.0), 0.0).rgb;
        sum.slope += weight * textureLod(t_change[index], at + vec2(0.0, 2.0 / 3.0), 0.0).rg;
    }
    return sum;
}

// Albedo or specular intensity 0..1, linear. Li et al. 2025, "TexTalker".
vec3 changed(vec3 neutral, vec3 log_ratio) { return saturate((neutral + LOG_FLOOR) * exp(log_ratio) - LOG_FLOOR); }
