#include "common/math.glsl"

uniform sampler2D t_scatter;       // engine/render/tables.py, scatter_table

// Most curvature that the table holds, 1/m: a ball of 4 mm.
const float SCATTER_MAX_CURVATURE = 250.0;

// Share of the smooth normal in the diffuse light of each channel: red travels furthest, so pores vanish in red first.
// Penner and Borshukov 2011, "Pre-Integrated Skin Shading", GPU Pro 2.
const vec3 SCATTER_SMOOTHING = vec3(0.75, 0.40, 0.20);

// Penner and Borshukov 2011: light that leaves a ball of this curvature where the cosine to the light is NoL, per
// channel. On a flat surface it is max(NoL, 0). Whole-ball energy is kept; see scatter_table.
vec3 scattered_cosine(vec3 NoL, float curvature) {
    if (curvature <= 0.0) return max(NoL, vec3(0.0));
    vec2 size = vec2(textureSize(t_scatter, 0));   // the first and the last texel stand at the ends of the range
    float row = (saturate(curvature / SCATTER_MAX_CURVATURE) * (size.y - 1.0) + 0.5) / size.y;
    vec3 u = ((NoL * 0.5 + 0.5) * (size.x - 1.0) + 0.5) / size.x;
    return vec3(textureLod(t_scatter, vec2(u.r, row), 0.0).r, textureLod(t_scatter, vec2(u.g, row), 0.0).g,
                textureLod(t_scatter, vec2(u.b, row), 0.0).b);
}
