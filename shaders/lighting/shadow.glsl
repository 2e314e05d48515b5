#include "common/frame.glsl"

uniform sampler2DShadow t_shadow[MOST_LIGHTS];

// Castano 2013, "Shadow Mapping Summary", part 1: the 3 x 3 tent from four bilinear comparisons. How wide it is in
// metres is set by the size of the map, so a softer light has a smaller map. `position` should be moved off the surface.
float shadow_visibility(int light, vec3 position_m) {
    vec4 map = u_shadow[light];
    vec3 at = (u_shadow_from_world[light] * vec4(position_m, 1.0)).xyz;
    float depth = at.z - map.z;
    vec2 texel = at.xy * map.x;
    vec2 base = floor(texel + 0.5);
    vec2 st = texel + 0.5 - base;
    vec2 w0 = 3.0 - 2.0 * st, w1 = 1.0 + 2.0 * st;
    vec2 p0 = (base - 0.5 + (2.0 - st) / w0 - 1.0) / map.x;
    vec2 p1 = (base - 0.5 + st / w1 + 1.0) / map.x;
    float sum = w0.x * w0.y * texture(t_shadow[light], vec3(p0, depth));
    sum += w1.x * w0.y * texture(t_shadow[light], vec3(p1.x, p0.y, depth));
    sum += w0.x * w1.y * texture(t_shadow[light], vec3(p0.x, p1.y, depth));
    sum += w1.x * w1.y * texture(t_shadow[light], vec3(p1, depth));
    return sum / 16.0;
}
