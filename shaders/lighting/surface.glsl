#include "lighting/ggx.glsl"
#include "lighting/environment.glsl"
#include "lighting/shadow.glsl"
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
    vec4 sky;                      // visibility in direction d is about w + xyz . d
};

struct Light {
    vec3 diffuse;                  // leaves by scattering inside, albedo included
    vec3 specular;                 // reflected at the surface
};

// Specular albedo at a cosine as F0 x + y; z, w: the same for all directions together.
vec4 dfg_lookup(float NoV, float roughness) {
    vec2 size = vec2(textureSize(t_dfg, 0));
    return textureLod(t_dfg, (vec2(NoV, roughness) * (size - 1.0) + 0.5) / size, 0.0);
}

// The sky of a vertex that sees its whole hemisphere, to degree 1: 1/2 + 3/4 n . d.
vec4 open_sky(vec3 n) { return vec4(0.75 * n, 0.5); }

// Share of the reflected lobe that gets out: what is seen towards r, against what an open surface would see there.
float reflection_visibility(Surface s, vec3 r) {
    float open = max(0.5 + 0.75 * dot(s.smooth_normal, r), 0.25);
    return saturate((s.sky.w + dot(s.sky.xyz, r)) / open);
}

// The normal turned to where the sky is open, the more so the less of it there is: Landis 2002, "Production-Ready
// Global Illumination".
vec3 bent(Surface s, vec3 n) { return normalize(n * s.occlusion + s.sky.xyz * (1.34 * (1.0 - s.occlusion)) + n * 1e-3); }

// Image-based light. What enters the skin from all directions together is what all of it does not reflect: the rule of
// light_directional, with the light's direction averaged out.
Light light_environment(Surface s, vec3 v, float NoV, float alpha, vec4 dfg) {
    vec3 irradiance = mix(environment_diffuse(bent(s, s.normal)), environment_diffuse(bent(s, s.smooth_normal)),
                          s.smoothing);
    vec3 reflected = specular_albedo(s.f0, dfg.xy);
    Light light;
    light.diffuse = s.albedo * irradiance * (1.0 - reflected) * colored_occlusion(s.occlusion, s.albedo);
    // Lagarde and de Rousiers 2014: the lobe of a rough surface leans towards the normal.
    vec3 r = mix(reflect(-v, s.normal), s.normal, alpha * alpha);
    // A normal from the map may send the ray into the head; the mesh would be in the way.
    float horizon = square(saturate(1.0 + 1.5 * dot(r, s.smooth_normal)));
    vec3 specular = environment_specular(r, sqrt(alpha)) * reflected;
    float hidden = min(specular_occlusion(NoV, s.occlusion, alpha), reflection_visibility(s, r));
    light.specular = specular * hidden * horizon;
    return light;
}

// One directional light with a shadow. A sun that fills an angle widens the highlight: half of it tilts the half
// vector, and variances add (Karis 2013, "Real Shading in Unreal Engine 4", area lights, in spirit).
// Diffuse light is what neither the way in nor the way out reflects, (1 - E(NoL)) (1 - E(NoV)) / (1 - mean E): the sum
// of both keeps all light in a white furnace, and changing their places changes nothing (Kelemen and Szirmay-Kalos 2001,
// "A Microfacet Based Coupled Specular-Matte BRDF Model", eq. 9).
Light light_directional(int index, Surface s, vec3 v, vec3 position, float NoV, float alpha, vec4 dfg) {
    vec3 l = u_light_direction[index].xyz;
    vec3 irradiance = u_light_irradiance[index].rgb;
    float roughness = sqrt(alpha);
    alpha = sqrt(alpha * alpha + 0.25 * square(u_light_direction[index].w));
    vec3 h = normalize(v + l);
    float LoH = saturate(dot(l, h));
    float NoL = saturate(dot(s.normal, l));
    float smooth_NoL = dot(s.smooth_normal, l);
    float lit = shadow_visibility(index, position + s.smooth_normal * u_shadow[index].y) * s.occlusion;
    vec3 f = fresnel_schlick(s.f0, LoH);
    vec3 cosines = mix(vec3(dot(s.normal, l)), vec3(smooth_NoL), s.smoothing);
    vec3 through = scattered_cosine(cosines, s.curvature);
    // Scattering softens a shadow's edge in red first: Penner and Borshukov 2011, section 1.4.
    vec3 soft_lit = s.curvature > 0.0 ? pow(vec3(lit), vec3(0.72, 1.0, 1.06)) : vec3(lit);
    Light light;
    vec3 enters = (1.0 - specular_albedo(s.f0, dfg_lookup(NoL, roughness).xy)) * (1.0 - specular_albedo(s.f0, dfg.xy)) /
                  (1.0 - specular_albedo(s.f0, dfg.zw) + 1e-6);
    light.diffuse = s.albedo / PI * enters * through * soft_lit * irradiance;
    float d = ggx_distribution(saturate(dot(s.normal, h)), alpha) * smith_visibility(NoV, NoL, alpha);
    float above = saturate(smooth_NoL * 30.0);  // a normal of the map may see a light that the mesh hides
    light.specular = f * d * NoL * lit * above * multiscatter_gain(s.f0, dfg.xy) * irradiance;
    return light;
}

Light shade(Surface s, vec3 position) {
    vec3 v = normalize(u_eye_m.xyz - position);
    float NoV = max(abs(dot(s.normal, v)), 1e-3);
    float alpha = alpha_from_roughness(s.roughness);
    #if !defined(SAMPLE)
    alpha = antialiased_alpha(alpha, s.normal);
    #endif
    vec4 dfg = dfg_lookup(NoV, sqrt(alpha));
    #if defined(SAMPLE)
    s.occlusion = 1.0;
    Light light = Light(vec3(0.0), vec3(0.0));
    #else
    Light light = light_environment(s, v, NoV, alpha, dfg);
    #endif
    for (int index = 0; index < int(u_material.y); ++index) {
        Light one = light_directional(index, s, v, position, NoV, alpha, dfg);
        light.diffuse += one.diffuse;
        light.specular += one.specular;
    }
    return light;
}
