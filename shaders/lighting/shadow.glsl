#include "common/math.glsl"
#include "common/frame.glsl"

// Where a point of a surface lies in the map of a light, 0..1, and its depth there; moved off the surface along its
// normal: Holbert 2011, "Normal Offset Shadows".
vec3 shadow_map_place(int light, vec3 position_m, vec3 normal) {
    vec4 at = u_shadow_from_world[light] * vec4(position_m + normal * u_shadow[light].y, 1.0);
    #if defined(POINT_LAMPS) || defined(RECTANGLE_LAMPS)
    at.xyz /= at.w;
    #endif
    return at.xyz - vec3(0.0, 0.0, u_shadow[light].z);
}

// Metres from the lamp; from the map's near side for a directional light.
float shadow_distance(int light, float depth) {
    vec2 range = u_penumbra[light].xy;
    float even = mix(range.x, range.y, depth);
    float perspective = range.x * range.y / mix(range.y, range.x, depth);
    return u_shadow[light].w > 0.5 ? perspective : even;
}

#if defined(PCSS)
uniform sampler2D t_shadow[MOST_LIGHTS];

const int BLOCKER_TAPS = 24, PENUMBRA_TAPS = 24;
const float REACH_M = 0.1;         // nothing on a head shades what lies further behind it
const float STEEPEST = 8.0;        // slope of a receiver against the map: beyond, it faces away

// How large, in the map, the lamp's image through a pinhole at `blocker` is when it falls on the receiver (both metres
// from the lamp): Fernando 2005, "Percentage-Closer Soft Shadows". Half width and half height.
vec2 penumbra_size(int light, float receiver, float blocker) {
    float spread = receiver - blocker;
    return u_penumbra[light].zw * (u_shadow[light].w > 0.5 ? spread / (blocker * receiver) : spread);
}

// Vogel 1979, "A Better Way to Construct the Sunflower Head": points spread evenly over the unit disc.
vec2 disc_point(int index, int count, float turn) {
    float angle = 2.39996323 * float(index) + turn;
    return sqrt((float(index) + 0.5) / float(count)) * vec2(cos(angle), sin(angle));
}

// Does the texel `aside` of `at` hide a part of the lamp? It has to lie in front of the receiver's plane, whose depth grows
// by `slope`, and within the pyramid from the receiver to the lamp's outline. Its distance from the lamp comes with it.
vec2 blocker_at(int light, vec3 at, vec2 aside, vec2 slope, float receiver) {
    float depth = textureLod(t_shadow[light], at.xy + aside, 0.0).r;
    float blocker = shadow_distance(light, depth);
    vec2 seen = aside / max(penumbra_size(light, receiver, blocker), vec2(1e-6));
    return vec2(step(depth, at.z + dot(slope, aside)) * step(dot(seen, seen), 1.0), blocker);
}

// How the depth of a surface's plane grows over the map, so that it does not shade itself where the disc is wide: Isidoro
// 2006, "Shadow Mapping: GPU-based Tips and Techniques", here from the normal: planes go with the inverse transpose of
// the derivative of shadow_map_place, which mirrors (depth grows away from the lamp).
vec2 receiver_slope(int light, vec3 position_m, vec3 normal) {
    mat4 rows = transpose(u_shadow_from_world[light]);
    vec4 at = u_shadow_from_world[light] * vec4(position_m, 1.0);
    vec3 x = rows[0].xyz - at.x / at.w * rows[3].xyz;
    vec3 y = rows[1].xyz - at.y / at.w * rows[3].xyz;
    vec3 z = rows[2].xyz - at.z / at.w * rows[3].xyz;
    vec3 plane = vec3(dot(cross(y, z), normal), dot(cross(z, x), normal), dot(cross(x, y), normal));
    return -plane.xy / max(plane.z, length(plane.xy) / STEEPEST);
}

// Fernando 2005: the farther what casts a shadow, the softer its edge. The disc is turned in each pixel by the noise of
// Jimenez 2014, "Next Generation Post Processing in Call of Duty".
float shadow_visibility(int light, vec3 position_m, vec3 normal) {
    vec3 at = shadow_map_place(light, position_m, normal);
    vec2 slope = receiver_slope(light, position_m, normal);
    float turn = 2.0 * PI * fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    float receiver = shadow_distance(light, at.z);
    vec2 reach = penumbra_size(light, receiver, max(receiver - REACH_M, u_penumbra[light].x + 1e-4));
    float sum = 0.0, count = 0.0;
    for (int index = 0; index < BLOCKER_TAPS; ++index) {
        vec2 point = disc_point(index, BLOCKER_TAPS, turn);
        vec2 aside = reach * point * dot(point, point);  // dense in the middle, where alone near blockers are found
        vec2 found = blocker_at(light, at, aside, slope, receiver);
        sum += found.x * found.y;
        count += found.x;
    }
    if (count == 0.0) return 1.0;
    vec2 size = max(penumbra_size(light, receiver, sum / count), vec2(1.0 / u_shadow[light].x));
    float hidden = 0.0;
    for (int index = 0; index < PENUMBRA_TAPS; ++index)
        hidden += blocker_at(light, at, size * disc_point(index, PENUMBRA_TAPS, turn), slope, receiver).x;
    return 1.0 - hidden / float(PENUMBRA_TAPS);
}
#else
uniform sampler2DShadow t_shadow[MOST_LIGHTS];

// Castano 2013, "Shadow Mapping Summary", part 1: the 3 x 3 tent from four bilinear comparisons. How wide it is in
// metres is set by the size of the map, so a softer light has a smaller map.
float shadow_visibility(int light, vec3 position_m, vec3 normal) {
    float side = u_shadow[light].x;
    vec3 at = shadow_map_place(light, position_m, normal);
    vec2 texel = at.xy * side;
    vec2 base = floor(texel + 0.5);
    vec2 st = texel + 0.5 - base;
    vec2 w0 = 3.0 - 2.0 * st, w1 = 1.0 + 2.0 * st;
    vec2 p0 = (base - 0.5 + (2.0 - st) / w0 - 1.0) / side;
    vec2 p1 = (base - 0.5 + st / w1 + 1.0) / side;
    float sum = w0.x * w0.y * texture(t_shadow[light], vec3(p0, at.z));
    sum += w1.x * w0.y * texture(t_shadow[light], vec3(p1.x, p0.y, at.z));
    sum += w0.x * w1.y * texture(t_shadow[light], vec3(p0.x, p1.y, at.z));
    sum += w1.x * w1.y * texture(t_shadow[light], vec3(p1, at.z));
    return sum / 16.0;
}
#endif
