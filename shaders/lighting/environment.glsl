#include "common/octahedron.glsl"
#include "common/math.glsl"
#include "common/frame.glsl"

uniform sampler2D t_environment;   // the atlas of common/octahedron.glsl

// World direction to the environment's own: the picture is turned around +Y, so look-ups turn back.
vec3 environment_from_world(vec3 direction) {
    float c = u_environment.x, s = u_environment.y;
    return vec3(c * direction.x - s * direction.z, direction.y, s * direction.x + c * direction.z);
}

// Irradiance / pi: what a white Lambertian surface with this normal sends out.
vec3 environment_diffuse(vec3 normal) {
    vec2 square = octahedron_from_direction(environment_from_world(normal));
    return textureLod(t_environment, atlas_uv(square, ATLAS_IRRADIANCE), 0.0).rgb * u_environment.z;
}

// Karis 2013, "Real Shading in Unreal Engine 4": the first sum of the split. Levels are mixed linearly.
vec3 environment_specular(vec3 direction, float perceptual_roughness) {
    vec2 square = octahedron_from_direction(environment_from_world(direction));
    float level = saturate(perceptual_roughness) * (ATLAS_LEVELS - 1.0);
    float low = min(floor(level), ATLAS_LEVELS - 2.0);
    vec3 sharp = textureLod(t_environment, atlas_uv(square, low), 0.0).rgb;
    vec3 blurred = textureLod(t_environment, atlas_uv(square, low + 1.0), 0.0).rgb;
    return mix(sharp, blurred, level - low) * u_environment.z;
}

// Lagarde and de Rousiers 2014, "Moving Frostbite to PBR", listing 26: how much of the lobe an occluder hides.
float specular_occlusion(float NoV, float occlusion, float alpha) {
    return saturate(pow(NoV + occlusion, exp2(-16.0 * alpha - 1.0)) - 1.0 + occlusion);
}

// Jimenez, Wu, Pesce and Jarabo 2016, "Practical Real-Time Strategies for Accurate Indirect Occlusion": light that
// bounces inside a crevice takes the crevice's colour.
vec3 colored_occlusion(vec3 occlusion, vec3 albedo) {
    vec3 a = 2.0404 * albedo - 0.3324;
    vec3 b = -4.7951 * albedo + 0.6417;
    vec3 c = 2.7552 * albedo + 0.6903;
    return max(occlusion, ((occlusion * a + b) * occlusion + c) * occlusion);
}
