#include "lighting/ggx.glsl"
#include "lighting/environment.glsl"
#include "lighting/shadow.glsl"
#include "lighting/lamps.glsl"
#include "lighting/skin.glsl"

uniform sampler2D t_dfg;

struct Surface {
    vec3 albedo;                   // linear
    vec3 f0;
    float roughness;               // perceptual
    vec3 normal;                   // with the slopes of the map
    vec3 smooth_normal;            // of the mesh
    vec3 smoothing;                // share of the smooth normal in the diffuse light, per channel
    float curvature;               // 1/m; 0 for no scattering
    float occlusion;
    vec3 reach;                    // share of the environment's light that others do not keep from it, per channel
    vec4 sky;                      // visibility in direction d is about w + xyz . d
};

struct Light {
    vec3 scattered;                // leaves by scattering inside, before the albedo takes its share
    vec3 specular;                 // reflected at the surface
};

// Specular albedo at a cosine as F0 x + y; z, w: the same for all directions together.
vec4 dfg_lookup(float NoV, float roughness) {
    vec2 size = vec2(textureSize(t_dfg, 0));
    return textureLod(t_dfg, (vec2(NoV, roughness) * (size - 1.0) + 0.5) / size, 0.0);
}

#if defined(DUAL)
// Skin under oil: a sharp lobe and a wide one around the roughness of the map, in the shares of Unreal Engine's default
// subsurface profile (Epic Games, "Subsurface Profile Shading Model"). Sum and energy are those of the lobes alone.
const int LOBES = 2;
const float LOBE_SHARE[LOBES] = float[](0.85, 0.15);
const float LOBE_ROUGHNESS[LOBES] = float[](0.75, 1.30);
#else
const int LOBES = 1;
const float LOBE_SHARE[LOBES] = float[](1.0);
const float LOBE_ROUGHNESS[LOBES] = float[](1.0);
#endif

// Of one lobe, when `alpha` is that of `roughness` widened by antialiasing and the size of a sun: variances add.
float lobe_alpha(int lobe, float roughness, float alpha) {
    if (LOBES == 1) return alpha;
    float own = alpha_from_roughness(roughness * LOBE_ROUGHNESS[lobe]);
    return sqrt(saturate(alpha * alpha - square(alpha_from_roughness(roughness)) + own * own));
}

// Distribution times visibility of all lobes.
float lobes(float roughness, float alpha, float NoH, float NoV, float NoL) {
    float sum = 0.0;
    for (int lobe = 0; lobe < LOBES; ++lobe) {
        float a = lobe_alpha(lobe, roughness, alpha);
        sum += LOBE_SHARE[lobe] * ggx_distribution(NoH, a) * smith_visibility(NoV, NoL, a);
    }
    return sum;
}

// The table of all lobes: each integral of a sum is the sum of the integrals.
vec4 lobes_dfg(float roughness, float alpha, float NoV) {
    vec4 sum = vec4(0.0);
    for (int lobe = 0; lobe < LOBES; ++lobe)
        sum += LOBE_SHARE[lobe] * dfg_lookup(NoV, sqrt(lobe_alpha(lobe, roughness, alpha)));
    return sum;
}

// The sky of a vertex that sees its whole hemisphere, to degree 1: 1/2 + 3/4 n . d.
vec4 open_sky(vec3 n) { return vec4(0.75 * n, 0.5); }

// Share of the reflected lobe that gets out: what is seen towards r, against what an open surface would see there.
float reflection_visibility(Surface s, vec3 r) {
    float open = max(0.5 + 0.75 * dot(s.smooth_normal, r), 0.25);
    return saturate((s.sky.w + dot(s.sky.xyz, r)) / open);
}

// Image-based light. What enters the skin from all directions together is what all of it does not reflect: the rule of
// light_from, with the light's direction averaged out.
Light light_environment(Surface s, vec3 v, float NoV, float alpha, vec4 dfg) {
    vec3 irradiance = mix(environment_diffuse(s.normal), environment_diffuse(s.smooth_normal), s.smoothing);
    vec3 reflected = specular_albedo(s.f0, dfg.xy);
    Light light;
    light.scattered = irradiance * (1.0 - reflected) * colored_occlusion(s.reach, s.albedo);
    // Lagarde and de Rousiers 2014: the lobe of a rough surface leans towards the normal.
    vec3 r = mix(reflect(-v, s.normal), s.normal, alpha * alpha);
    // A normal from the map may send the ray into the head; the mesh would be in the way.
    float horizon = square(saturate(1.0 + 1.5 * dot(r, s.smooth_normal)));
    vec3 specular = vec3(0.0);
    for (int lobe = 0; lobe < LOBES; ++lobe) {
        float rough = sqrt(lobe_alpha(lobe, s.roughness, alpha));
        vec2 table = LOBES == 1 ? dfg.xy : dfg_lookup(NoV, rough).xy;
        specular += LOBE_SHARE[lobe] * environment_specular(r, rough) * (s.f0 * table.x + table.y);
    }
    specular *= multiscatter_gain(s.f0, dfg.xy);
    float hidden = min(specular_occlusion(NoV, s.occlusion, alpha), reflection_visibility(s, r));
    light.specular = specular * hidden * horizon;
    return light;
}

// The part of a light that its shadow leaves. A shadow map is too coarse for the depth of nostrils, and for the mouth: only
// there occlusion takes part. What of it scattered light shows: scattering softens a shadow's edge in red first (Penner
// and Borshukov 2011, section 1.4), by no more than it travels.
float light_reaches(int index, Surface s, vec3 position) {
    #if defined(SKIN)
    float inside = saturate(4.0 * s.occlusion);
    #else
    float inside = s.occlusion;
    #endif
    return shadow_visibility(index, position, s.smooth_normal) * inside;
}
vec3 scattered_shadow(int index, Surface s, float lit) {
    float fringe = s.curvature > 0.0 ? u_light_irradiance[index].w : 0.0;
    return vec3(pow(lit, 1.0 - 0.28 * fringe), lit, pow(lit, 1.0 + 0.06 * fringe));
}

// What neither the way in nor the way out reflects of light at a cosine NoL, (1 - E(NoL)) (1 - E(NoV)) / (1 - mean E):
// with what is reflected it keeps all light in a white furnace, and changing the places of light and eye changes nothing
// (Kelemen and Szirmay-Kalos 2001, "A Microfacet Based Coupled Specular-Matte BRDF Model", eq. 9).
vec3 enters(Surface s, float NoL, float alpha, vec4 dfg) {
    return (1.0 - specular_albedo(s.f0, lobes_dfg(s.roughness, alpha, NoL).xy)) * (1.0 - specular_albedo(s.f0, dfg.xy)) /
           (1.0 - specular_albedo(s.f0, dfg.zw) + 1e-6);
}

// Light from one direction, with a shadow. A sun that fills an angle widens the highlight: half of it tilts the half
// vector, and variances add (Karis 2013, "Real Shading in Unreal Engine 4", area lights, in spirit).
Light light_from(vec3 l, vec3 irradiance, int index, Surface s, vec3 v, vec3 position, float NoV, float alpha, vec4 dfg) {
    float NoL = saturate(dot(s.normal, l));
    vec3 inside = enters(s, NoL, alpha, dfg);
    alpha = sqrt(alpha * alpha + 0.25 * square(u_light_direction[index].w));
    vec3 h = normalize(v + l);
    float LoH = saturate(dot(l, h));
    float smooth_NoL = dot(s.smooth_normal, l);
    float lit = light_reaches(index, s, position);
    vec3 f = fresnel_schlick(s.f0, LoH);
    vec3 cosines = mix(vec3(dot(s.normal, l)), vec3(smooth_NoL), s.smoothing);
    vec3 through = scattered_cosine(cosines, s.curvature);
    Light light;
    light.scattered = inside / PI * through * scattered_shadow(index, s, lit) * irradiance;
    float d = lobes(s.roughness, alpha, saturate(dot(s.normal, h)), NoV, NoL);
    float above = saturate(smooth_NoL * 30.0);  // a normal of the map may see a light that the mesh hides
    light.specular = f * d * NoL * lit * above * multiscatter_gain(s.f0, dfg.xy) * irradiance;
    return light;
}

Light light_directional(int index, Surface s, vec3 v, vec3 position, float NoV, float alpha, vec4 dfg) {
    return light_from(u_light_direction[index].xyz, u_light_irradiance[index].rgb, index, s, v, position, NoV, alpha, dfg);
}

#if defined(POINT_LAMPS)
Light light_point(int index, Surface s, vec3 v, vec3 position, float NoV, float alpha, vec4 dfg) {
    Beam beam = beam_point(index, position);
    return light_from(beam.towards, beam.irradiance, index, s, v, position, NoV, alpha, dfg);
}
#endif

#if defined(RECTANGLE_LAMPS)
// A rectangle that shines evenly: the lobe by a linearly transformed cosine, as strong as the table of environments says;
// the diffuse part by the plain cosine, and where it scatters by the cosine of the direction the light comes from in the
// mean. What that leaves out at the horizon, where a part of the lamp is seen, is added as it is without scattering.
Light light_rectangle(int index, Surface s, vec3 v, vec3 position, float NoV, float alpha, vec4 dfg) {
    vec3 a, b, c, d;
    rectangle_corners(index, position, a, b, c, d);
    vec3 vector = vector_form_factor(a, b, c, d);
    float size = max(length(vector), 1e-6);
    vec3 l = vector / size;
    float cosine = dot(s.normal, l), smooth_cosine = dot(s.smooth_normal, l);
    vec3 through = scattered_cosine(mix(vec3(cosine), vec3(smooth_cosine), s.smoothing), s.curvature);
    float horizon = max(form_factor(s.normal, a, b, c, d) - size * max(cosine, 0.0), 0.0);
    float lit = light_reaches(index, s, position);
    Light light;
    vec3 strength = u_light_irradiance[index].rgb / PI;
    light.scattered = enters(s, saturate(cosine), alpha, dfg) * (size * through + horizon) *
                      scattered_shadow(index, s, lit) * strength;
    vec3 filled = vec3(0.0);
    for (int lobe = 0; lobe < LOBES; ++lobe) {
        float rough = sqrt(lobe_alpha(lobe, s.roughness, alpha));
        vec2 table = LOBES == 1 ? dfg.xy : dfg_lookup(NoV, rough).xy;
        float share = LOBE_SHARE[lobe] * lobe_form_factor(s.normal, v, cosine_from_lobe(NoV, rough), a, b, c, d);
        filled += share * (s.f0 * table.x + table.y);
    }
    float above = saturate((smooth_cosine + sqrt(size)) * 30.0);  // a lamp of this size is half below at cosine 0
    light.specular = multiscatter_gain(s.f0, dfg.xy) * filled * lit * above * strength;
    return light;
}
#endif

Light added(Light a, Light b) { return Light(a.scattered + b.scattered, a.specular + b.specular); }

// All light that a surface sends to the eye. Lights come in the order of their kinds; a loop whose kind is not there is
// left out, because a software rasteriser walks through both sides of a branch.
Light shade(Surface s, vec3 position) {
    vec3 v = normalize(u_eye_m.xyz - position);
    float NoV = max(abs(dot(s.normal, v)), 1e-3);
    float alpha = alpha_from_roughness(s.roughness);
    #if defined(BY_TRIANGLE) && !defined(SAMPLE)
    alpha = widened_alpha(alpha, dFdx(s.normal) * same_surface(dFdx(position), here.step_x),
                          dFdy(s.normal) * same_surface(dFdy(position), here.step_y));
    #elif !defined(SAMPLE)
    alpha = antialiased_alpha(alpha, s.normal);
    #endif
    vec4 dfg = lobes_dfg(s.roughness, alpha, NoV);
    #if defined(SAMPLE)
    s.occlusion = 1.0;
    Light light = Light(vec3(0.0), vec3(0.0));
    #else
    Light light = light_environment(s, v, NoV, alpha, dfg);
    #endif
    #if defined(LIGHTS)            // as many as there are, for a loop that the compiler unrolls
    const ivec3 ends = LIGHTS;
    #else
    ivec3 ends = ivec3(u_lights.x, u_lights.y, u_material.y);
    #endif
    for (int index = 0; index < ends.x; ++index)
        light = added(light, light_directional(index, s, v, position, NoV, alpha, dfg));
    #if defined(POINT_LAMPS)
    for (int index = ends.x; index < ends.y; ++index)
        light = added(light, light_point(index, s, v, position, NoV, alpha, dfg));
    #endif
    #if defined(RECTANGLE_LAMPS)
    for (int index = ends.y; index < ends.z; ++index)
        light = added(light, light_rectangle(index, s, v, position, NoV, alpha, dfg));
    #endif
    return light;
}
