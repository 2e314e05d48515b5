#version 410 core
// The table behind image-based light, x = NoV, y = perceptual roughness:
//   r, g: specular albedo = F0 r + g (Karis 2013, second sum of the split, f90 = 1)
//   b, a: filled in by engine/render/tables.py: their means over the cosine-weighted hemisphere
// Visible-normal sampling: Heitz 2018, "Sampling the GGX Distribution of Visible Normals"; weight G2 / G1.
#include "lighting/ggx.glsl"

uniform vec2 u_size;
uniform int u_samples;             // per axis
out vec4 o_color;

float smith_lambda_term(float cosine, float alpha) { return sqrt(alpha * alpha + (1.0 - alpha * alpha) * cosine * cosine); }

vec3 visible_normal(vec3 v, float alpha, float u1, float u2) {
    vec3 stretched = normalize(vec3(alpha * v.xy, v.z));
    float length2 = dot(stretched.xy, stretched.xy);
    vec3 t1 = length2 > 1e-12 ? vec3(-stretched.y, stretched.x, 0.0) * inversesqrt(length2) : vec3(1.0, 0.0, 0.0);
    vec3 t2 = cross(stretched, t1);
    float radius = sqrt(u1), phi = 2.0 * PI * u2;
    float p1 = radius * cos(phi), p2 = radius * sin(phi);
    float s = 0.5 * (1.0 + stretched.z);
    p2 = mix(sqrt(1.0 - p1 * p1), p2, s);
    vec3 h = p1 * t1 + p2 * t2 + sqrt(max(1.0 - p1 * p1 - p2 * p2, 0.0)) * stretched;
    return normalize(vec3(alpha * h.xy, max(h.z, 1e-6)));
}

void main() {
    vec2 at = (gl_FragCoord.xy - 0.5) / (u_size - 1.0);
    float NoV = max(at.x, 1e-3);
    float alpha = alpha_from_roughness(at.y);
    vec3 v = vec3(sqrt(1.0 - NoV * NoV), 0.0, NoV);
    vec2 sum = vec2(0.0);
    float total = 0.0;
    for (int i = 0; i < u_samples; ++i) {
        // Steps that shrink towards u1 = 1 follow the long tail of a sharp lobe.
        float left = 1.0 - (float(i) + 0.5) / float(u_samples);
        float u1 = 1.0 - left * left * left, width = 3.0 * left * left;
        total += width * float(u_samples);
        for (int j = 0; j < u_samples; ++j) {
            float u2 = (float(j) + 0.5) / float(u_samples);
            vec3 h = visible_normal(v, alpha, u1, u2);
            float VoH = max(dot(v, h), 0.0);
            float NoL = 2.0 * VoH * h.z - v.z;
            if (NoL > 0.0) {
                float eye = smith_lambda_term(NoV, alpha), light = smith_lambda_term(NoL, alpha);
                float share = NoL * (eye + NoV) / (NoL * eye + NoV * light);
                float f = schlick_weight(VoH);
                sum += width * share * vec2(1.0 - f, f);
            }
        }
    }
    o_color = vec4(sum / total, 0.0, 0.0);
}
