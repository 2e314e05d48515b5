#include "common/math.glsl"
#include "common/frame.glsl"

uniform sampler2D t_ltc;           // engine/render/ltc.npy, see ltc_fit.py

// Khronos Group 2018, "KHR_lights_punctual": 1 within the inner cone, 0 beyond the outer one. `cosine` is that of the
// angle from the axis, `scale` is 1 / (cos inner - cos outer), `offset` is -scale cos outer; 0 and 1 for a point.
float spot_cone(float cosine, float scale, float offset) { return square(saturate(cosine * scale + offset)); }

// What comes from a lamp to a point in space.
struct Beam {
    vec3 towards;                  // the lamp
    vec3 irradiance;               // on a surface that faces it
};

Beam beam_directional(int index) { return Beam(u_light_direction[index].xyz, u_light_irradiance[index].rgb); }

// A point or a spot: light falls off with the square of the distance.
Beam beam_point(int index, vec3 position) {
    vec3 to_lamp = u_light_position[index].xyz - position;
    float distance2 = dot(to_lamp, to_lamp);
    vec3 l = to_lamp * inversesqrt(distance2);
    float cosine = dot(l, u_light_direction[index].xyz);
    float cone = spot_cone(cosine, u_light_position[index].w, u_light_right[index].w);
    float flatness = mix(1.0, max(cosine, 0.0), u_light_up[index].w);
    return Beam(l, u_light_irradiance[index].rgb * (cone * flatness / distance2));
}

// Corners of a rectangle, seen from a point.
void rectangle_corners(int index, vec3 position, out vec3 a, out vec3 b, out vec3 c, out vec3 d) {
    a = u_light_position[index].xyz - position;
    b = a + u_light_right[index].xyz;
    c = b + u_light_up[index].xyz;
    d = a + u_light_up[index].xyz;
}

// The share of one edge in the vector form factor of a polygon: across the edge, as long as its angle over 2 pi. For
// unit vectors to its ends. Lambert 1760, "Photometria"; the angle over its sine is a fit of Hill and Heitz 2016,
// "Real-Time Area Lighting: a Journey from Research to Production".
vec3 edge_form(vec3 a, vec3 b) {
    float x = dot(a, b);
    float y = abs(x);
    float fit = (0.8543985 + (0.4965155 + 0.0145206 * y) * y) / (3.4175940 + (4.1616724 + y) * y);
    return cross(a, b) * (x > 0.0 ? fit : 0.5 * inversesqrt(max(1.0 - x * x, 1e-7)) - fit);
}

// To where the light of a four-sided polygon comes from, weighted by the solid angle: its dot product with a normal is
// irradiance / (pi radiance) on a surface that sees all of it. Corners as seen from the surface, in a turn that is
// positive around the direction towards the polygon.
vec3 vector_form_factor(vec3 a, vec3 b, vec3 c, vec3 d) {
    a = normalize(a), b = normalize(b), c = normalize(c), d = normalize(d);
    return edge_form(a, b) + edge_form(b, c) + edge_form(c, d) + edge_form(d, a);
}

// A rectangle as if all its light came from where it comes from in the mean.
Beam beam_rectangle(int index, vec3 position) {
    vec3 a, b, c, d;
    rectangle_corners(index, position, a, b, c, d);
    vec3 vector = vector_form_factor(a, b, c, d);
    float size = max(length(vector), 1e-6);
    return Beam(vector / size, u_light_irradiance[index].rgb * size);
}

// The part of an edge above the plane of n; where the outline goes below it and comes back is remembered.
float edge_above(vec3 n, vec3 a, vec3 b, inout vec3 sets, inout vec3 rises) {
    float above_a = dot(n, a), above_b = dot(n, b);
    vec3 crossing = mix(a, b, clamp(above_a / (above_a - above_b), 0.0, 1.0));
    bool hidden_a = above_a < 0.0, hidden_b = above_b < 0.0;
    if (hidden_b && !hidden_a) sets = crossing;
    if (hidden_a && !hidden_b) rises = crossing;
    return hidden_a && hidden_b ? 0.0
        : dot(n, edge_form(normalize(hidden_a ? crossing : a), normalize(hidden_b ? crossing : b)));
}

// Irradiance / (pi radiance) of a four-sided polygon on a surface with normal n, what lies below its horizon cut off
// exactly: a convex outline crosses the horizon twice or never, so one more edge closes it.
float form_factor(vec3 n, vec3 a, vec3 b, vec3 c, vec3 d) {
    vec3 sets = a, rises = a;
    float sum = edge_above(n, a, b, sets, rises) + edge_above(n, b, c, sets, rises) +
                edge_above(n, c, d, sets, rises) + edge_above(n, d, a, sets, rises);
    return max(sum + dot(n, edge_form(normalize(sets), normalize(rises))), 0.0);
}

// The inverse of the matrix that turns a clamped cosine into the GGX lobe, the eye in the plane of x and z. Heitz,
// Dupuy, Hill and Neubelt 2016, "Real-Time Polygonal-Light Shading with Linearly Transformed Cosines".
mat3 cosine_from_lobe(float NoV, float perceptual_roughness) {
    vec2 size = vec2(textureSize(t_ltc, 0));
    vec2 at = (vec2(perceptual_roughness, sqrt(1.0 - saturate(NoV))) * (size - 1.0) + 0.5) / size;
    vec4 m = textureLod(t_ltc, at, 0.0);
    return mat3(vec3(m.x, 0.0, m.y), vec3(0.0, 1.0, 0.0), vec3(m.z, 0.0, m.w));
}

// Share of the lobe of a surface with normal n, seen from v, that a four-sided polygon fills.
float lobe_form_factor(vec3 n, vec3 v, mat3 cosine_from_lobe, vec3 a, vec3 b, vec3 c, vec3 d) {
    vec3 x = normalize(v - n * dot(v, n) + vec3(1e-6, 0.0, 0.0));
    mat3 turned = cosine_from_lobe * transpose(mat3(x, cross(n, x), n));
    return form_factor(vec3(0.0, 0.0, 1.0), turned * a, turned * b, turned * c, turned * d);
}
