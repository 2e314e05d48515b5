#include "common/math.glsl"

const float MIN_ROUGHNESS = 0.045;  // below it the highlight of a directional light overflows half floats

// Burley 2012, "Physically-Based Shading at Disney": alpha is the square of perceptual roughness.
float alpha_from_roughness(float perceptual_roughness) { return square(max(perceptual_roughness, MIN_ROUGHNESS)); }

// Walter, Marschner, Li and Torrance 2007, "Microfacet Models for Refraction through Rough Surfaces", eq. 33.
float ggx_distribution(float NoH, float alpha) {
    float a2 = alpha * alpha;
    float d = (NoH * a2 - NoH) * NoH + 1.0;
    return a2 / (PI * d * d);
}

// Heitz 2014, "Understanding the Masking-Shadowing Function in Microfacet-Based BRDFs", eq. 99: height-correlated Smith,
// divided by 4 NoL NoV.
float smith_visibility(float NoV, float NoL, float alpha) {
    float a2 = alpha * alpha;
    float towards_eye = NoL * sqrt(NoV * NoV * (1.0 - a2) + a2);
    float towards_light = NoV * sqrt(NoL * NoL * (1.0 - a2) + a2);
    return 0.5 / max(towards_eye + towards_light, 1e-6);
}

// Schlick 1994, "An Inexpensive BRDF Model for Physically-based Rendering", eq. 15, with f90 = 1.
float schlick_weight(float cosine) {
    float x = saturate(1.0 - cosine);
    float x2 = x * x;
    return x2 * x2 * x;
}
vec3 fresnel_schlick(vec3 f0, float LoH) { return f0 + (1.0 - f0) * schlick_weight(LoH); }

// Fdez-Aguera 2019, "A Multiple-Scattering Microfacet Model for Real-Time Image Based Lighting"; the simple gain of
// Turquin 2019, eq. 16. `dfg` as written by dfg.frag.
vec3 multiscatter_gain(vec3 f0, vec2 dfg) { return 1.0 + f0 * (1.0 / max(dfg.x + dfg.y, 1e-3) - 1.0); }

// Share of the light from one direction that the surface sends back: of all light for the means of a row.
vec3 specular_albedo(vec3 f0, vec2 dfg) { return (f0 * dfg.x + dfg.y) * multiscatter_gain(f0, dfg); }

// Variance of the slopes that a fetch averaged, of one direction; rg is their mean, b the mean of their squares. Olano and
// Baker 2010, "LEAN Mapping", eq. 15, the same in all directions.
float slope_variance(vec3 moments) { return 0.5 * max(moments.b - dot(moments.rg, moments.rg), 0.0); }

// Perceptual roughness of a surface whose facets also follow slopes of that variance: the distribution of slopes is as if
// Beckmann's, whose alpha^2 is twice its variance, and variances add.
float roughness_with_slopes(float perceptual_roughness, float variance) {
    float alpha = alpha_from_roughness(perceptual_roughness);
    return sqrt(sqrt(saturate(alpha * alpha + 2.0 * variance)));
}

// Tokuyoshi and Kaplanyan 2019, "Improved Geometric Specular Antialiasing", eq. 1 with sigma^2 = 0.25, kappa = 0.18.
// dx, dy: change of the normal from a pixel to the next.
float widened_alpha(float alpha, vec3 dx, vec3 dy) {
    float kernel = min(2.0 * 0.25 * (dot(dx, dx) + dot(dy, dy)), 0.18);
    return sqrt(saturate(alpha * alpha + kernel));
}
float antialiased_alpha(float alpha, vec3 normal) { return widened_alpha(alpha, dFdx(normal), dFdy(normal)); }
