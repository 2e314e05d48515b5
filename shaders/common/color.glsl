#include "common/math.glsl"

// IEC 61966-2-1:1999, "sRGB". Values 0..1.
vec3 linear_from_srgb(vec3 encoded) {
    vec3 low = encoded / 12.92;
    vec3 high = pow((max(encoded, vec3(0.0)) + 0.055) / 1.055, vec3(2.4));
    return mix(high, low, lessThanEqual(encoded, vec3(0.04045)));
}

// IEC 61966-2-1:1999, "sRGB". Clips to 0..1.
vec3 srgb_from_linear(vec3 linear) {
    linear = saturate(linear);
    vec3 low = linear * 12.92;
    vec3 high = 1.055 * pow(linear, vec3(1.0 / 2.4)) - 0.055;
    return mix(high, low, lessThanEqual(linear, vec3(0.0031308)));
}

// Khronos Group 2024, "Khronos PBR Neutral Tone Mapper". Colours below 0.8 keep their hue and contrast exactly but for
// the 4 % that Fresnel reflection adds to every measured albedo.
vec3 tone_neutral(vec3 color) {
    const float start = 0.8 - 0.04;
    const float desaturation = 0.15;
    float low = min(color.r, min(color.g, color.b));
    float offset = low < 0.08 ? low - 6.25 * low * low : 0.04;
    color -= offset;
    float peak = max_component(color);
    if (peak < start) return color;
    float d = 1.0 - start;
    float new_peak = 1.0 - d * d / (peak + d - start);
    color *= new_peak / peak;
    float g = 1.0 - 1.0 / (desaturation * (peak - new_peak) + 1.0);
    return mix(color, vec3(new_peak), g);
}

// Viridis at five stops (Smith and van der Walt 2015), display-encoded, for t in 0..1: dark is little, yellow is much.
vec3 heat_color(float t) {
    t = saturate(t) * 4.0;
    vec3 color = mix(vec3(0.267, 0.005, 0.329), vec3(0.230, 0.322, 0.546), saturate(t));
    color = mix(color, vec3(0.128, 0.567, 0.551), saturate(t - 1.0));
    color = mix(color, vec3(0.369, 0.789, 0.383), saturate(t - 2.0));
    return mix(color, vec3(0.993, 0.906, 0.144), saturate(t - 3.0));
}
