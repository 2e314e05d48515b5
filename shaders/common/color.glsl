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

// Relative luminance of Rec. 709 light (IEC 61966-2-1).
float luminance(vec3 linear) { return dot(linear, vec3(0.2126, 0.7152, 0.0722)); }

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

// Sobotka 2022, "AgX", base look: light in a slightly smaller gamut than Rec. 2020, its logarithm from 10 stops below
// middle grey to 6.5 above, one S-shaped curve (polynomial: Wrensch 2023), and back. Bright colours go to white softly.
vec3 tone_agx(vec3 color) {
    // rows: Rec. 709 to Rec. 2020 and into the inset primaries; columns of GLSL are written as rows, hence color * M
    const mat3 rec2020 = mat3(0.6274, 0.3293, 0.0433, 0.0691, 0.9195, 0.0113, 0.0164, 0.0880, 0.8956);
    const mat3 inset = mat3(0.856627, 0.095121, 0.048252, 0.137319, 0.761242, 0.101439, 0.111898, 0.076799, 0.811302);
    const mat3 outset =
        mat3(1.127101, -0.110607, -0.016494, -0.141330, 1.157824, -0.016494, -0.141330, -0.110607, 1.251936);
    const mat3 rec709 = mat3(1.6605, -0.5876, -0.0728, -0.1246, 1.1329, -0.0083, -0.0182, -0.1006, 1.1187);
    const float least = -12.47393, most = 4.026069;
    vec3 stops = log2(max(color * rec2020 * inset, vec3(1e-10)));
    vec3 x = saturate((stops - least) / (most - least));
    vec3 curve = ((((((15.5 * x - 40.14) * x + 31.96) * x - 6.868) * x + 0.4298) * x + 0.1191) * x) - 0.00232;
    return saturate(pow(max(curve * outset, vec3(0.0)), vec3(2.2)) * rec709);
}

// Hill 2017, a fit of the ACES 1.0 reference rendering and sRGB output transforms: filmic, darker and less colourful.
// Without the 1 / 0.6 that some viewers put before it: middle grey comes out as in ACES.
vec3 tone_aces(vec3 color) {
    const mat3 into = mat3(0.59719, 0.35458, 0.04823, 0.07600, 0.90834, 0.01566, 0.02840, 0.13383, 0.83777);
    const mat3 out_of = mat3(1.60475, -0.53108, -0.07367, -0.10208, 1.10813, -0.00605, -0.00327, -0.07276, 1.07602);
    vec3 x = color * into;
    vec3 film = (x * (x + 0.0245786) - 0.000090537) / (x * (0.983729 * x + 0.4329510) + 0.238081);
    return saturate(film * out_of);
}

// Five even stops of a colour scale, display-encoded, at t in 0..1.
vec3 scale_color(float t, vec3 a, vec3 b, vec3 c, vec3 d, vec3 e) {
    t = saturate(t) * 4.0;
    return mix(mix(mix(mix(a, b, saturate(t)), c, saturate(t - 1.0)), d, saturate(t - 2.0)), e, saturate(t - 3.0));
}

// Viridis (Smith and van der Walt 2015): dark is little, yellow is much. The stops of engine/color.py.
vec3 sequential_color(float t) {
    return scale_color(t, vec3(0.267, 0.005, 0.329), vec3(0.230, 0.322, 0.546), vec3(0.128, 0.567, 0.551),
                       vec3(0.369, 0.789, 0.383), vec3(0.993, 0.906, 0.144));
}

// Moreland 2009, "Diverging Color Maps for Scientific Visualization": grey in the middle, blue below, red above.
vec3 diverging_color(float t) {
    return scale_color(t, vec3(0.230, 0.299, 0.754), vec3(0.553, 0.689, 0.995), vec3(0.865, 0.865, 0.865),
                       vec3(0.958, 0.603, 0.482), vec3(0.706, 0.016, 0.150));
}
