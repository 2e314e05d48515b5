#version 410 core
// The environment as a blurred backdrop.
#include "common/display.glsl"
#include "lighting/environment.glsl"
#include "lighting/ggx.glsl"
in vec2 v_square;
out vec4 o_color;

const float BLUR = 0.3;            // perceptual roughness

// What the filter of the atlas makes of a sun, as wide as it was.
float lobe(float NoH, float perceptual_roughness, float radius) {
    return ggx_distribution(NoH, sqrt(square(square(perceptual_roughness)) + 0.25 * square(radius))) * 0.25;
}

// Suns that were taken out of the picture are put back; the atlas mixes its levels 0.2 and 0.4 here.
vec3 sun_glow(vec3 direction) {
    vec3 light = vec3(0.0);
    for (int index = 0; index < int(u_material.y); ++index) {
        vec4 sun = u_light_direction[index];
        float NoH = dot(direction, normalize(direction + sun.xyz));
        float spread = 0.5 * (lobe(NoH, 0.2, sun.w) + lobe(NoH, 0.4, sun.w));
        if (sun.w > 0.0) light += u_light_irradiance[index].rgb * saturate(dot(direction, sun.xyz)) * spread;
    }
    return light;
}

void main() {
    vec4 far = u_world_from_clip * vec4(v_square * 2.0 - 1.0, 1.0, 1.0);
    vec3 direction = normalize(far.xyz / far.w - u_eye_m.xyz);
    vec3 light = environment_specular(direction, BLUR) + sun_glow(direction);
    o_color = vec4(display_from_light(light), 1.0);
}
