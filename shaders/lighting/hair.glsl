#include "lighting/surface.glsl"

// Light from hairs: ribbons that stand for cylinders. Marschner, Jensen, Cammarano, Worley and Hanrahan 2003, "Light
// Scattering from Human Hair Fibers", in the fits of Karis 2016, "Physically Based Hair Shading in Unreal", without what
// passes straight through; light that many hairs scatter as in Kajiya and Kay 1989, "Rendering Fur with Three
// Dimensional Textures", with the normal of the skin below it.

const float HAIR_F0 = 0.0465;      // n = 1.55
const float HAIR_TILT = 0.035;     // of the scales, to the root

float longitudinal(float width, float x) { return exp(-0.5 * square(x / width)) / (2.5066283 * width); }

// Reflected off the surface, and off the far side through the hair, whose colour it takes.
vec3 hair_lobes(vec3 tangent, vec3 l, vec3 v, vec3 color, float roughness) {
    float sin_l = clamp(dot(tangent, l), -1.0, 1.0), sin_v = clamp(dot(tangent, v), -1.0, 1.0);
    float cos_theta_d = cos(0.5 * abs(asin(sin_v) - asin(sin_l)));
    vec3 lp = l - sin_l * tangent, vp = v - sin_v * tangent;
    float cos_phi = dot(lp, vp) * inversesqrt(dot(lp, lp) * dot(vp, vp) + 1e-4);
    float cos_half_phi = sqrt(saturate(0.5 + 0.5 * cos_phi));
    float width = square(roughness);
    float surface = longitudinal(width * 1.4142 * max(cos_half_phi, 0.2), sin_l + sin_v + 2.0 * HAIR_TILT) * 0.25 * cos_half_phi *
                    (HAIR_F0 + (1.0 - HAIR_F0) * schlick_weight(sqrt(saturate(0.5 + 0.5 * dot(v, l)))));
    float f = HAIR_F0 + (1.0 - HAIR_F0) * schlick_weight(0.5 * cos_theta_d);
    vec3 through = pow(max(color, vec3(1e-4)), vec3(0.8 / max(cos_theta_d, 0.2)));
    float inner = longitudinal(2.0 * width, sin_l + sin_v - 4.0 * HAIR_TILT) * square(1.0 - f) * f * exp(17.0 * cos_phi - 16.78);
    return vec3(surface) + inner * through;
}

// Of light from one direction, the share that neighbours let through is told by the skin's normal, softly.
float hair_wrap(vec3 n, vec3 l) { return saturate((dot(n, l) + 0.35) / 1.35); }

Light hair_from(vec3 l, vec3 irradiance, int index, Surface s, vec3 tangent, vec3 v, vec3 position) {
    float lit = light_reaches(index, s, position) * hair_wrap(s.smooth_normal, l);
    float sin_l = sqrt(saturate(1.0 - square(dot(tangent, l))));
    Light light;
    light.scattered = vec3(sin_l * lit / PI) * irradiance;
    light.specular = hair_lobes(tangent, l, v, s.albedo, s.roughness) * lit * sin_l * irradiance;
    return light;
}

Light hair_environment(Surface s, vec3 tangent, vec3 v) {
    vec3 across = normalize(v - tangent * dot(tangent, v) + 1e-4 * s.smooth_normal);
    vec3 n = normalize(mix(across, s.smooth_normal, 0.6));
    Light light;
    light.scattered = environment_diffuse(n) * s.occlusion;
    vec3 shifted = normalize(n - HAIR_TILT * 2.0 * tangent);
    vec3 gloss = environment_specular(reflect(-v, shifted), 1.5 * s.roughness) * s.occlusion;
    light.specular = gloss * square(1.0 - s.roughness) * (0.06 + 0.80 * s.albedo);
    return light;
}

Light shade_hair(Surface s, vec3 position) {
    vec3 v = normalize(u_eye_m.xyz - position), tangent = s.normal;
    #if defined(SAMPLE)
    s.occlusion = 0.4 + 0.6 * s.occlusion;
    Light light = Light(vec3(0.0), vec3(0.0));
    #else
    Light light = hair_environment(s, tangent, v);
    #endif
    ivec3 ends = ivec3(u_lights.x, u_lights.y, u_material.y);
    for (int index = 0; index < ends.x; ++index) {
        Beam beam = beam_directional(index);
        light = added(light, hair_from(beam.towards, beam.irradiance, index, s, tangent, v, position));
    }
    #if defined(POINT_LAMPS)
    for (int index = ends.x; index < ends.y; ++index) {
        Beam beam = beam_point(index, position);
        light = added(light, hair_from(beam.towards, beam.irradiance, index, s, tangent, v, position));
    }
    #endif
    #if defined(RECTANGLE_LAMPS)
    for (int index = ends.y; index < ends.z; ++index) {
        Beam beam = beam_rectangle(index, position);
        light = added(light, hair_from(beam.towards, beam.irradiance, index, s, tangent, v, position));
    }
    #endif
    return light;
}
