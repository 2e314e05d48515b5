#include "common/color.glsl"

// log2 of the luminance of `now` over that of `then`, both lifted by `lift` as in the blend of the maps.
float change_stops(vec3 now, vec3 then, float lift) {
    return log2((luminance(now) + lift) / (luminance(then) + lift));
}

// Angle in degrees between the normals of two tangent-space slopes; atan keeps small angles, acos would lose them.
float slope_angle_degrees(vec2 now, vec2 then) {
    vec3 a = vec3(now, 1.0), b = vec3(then, 1.0);
    return degrees(atan(length(cross(a, b)), dot(a, b)));
}

// Dark squares of 2 mm for "no data", fixed to the surface, so that tiles of a picture fit together.
vec3 no_data_color(vec3 position_m) {
    vec3 cell = floor(position_m * 500.0);
    return vec3(mod(cell.x + cell.y + cell.z, 2.0) < 0.5 ? 0.10 : 0.17);
}

// 64 squares to a side, in hues that tell where on the map one is.
vec3 uv_checker_color(vec2 uv) {
    vec2 cell = floor(uv * 64.0);
    float light = mod(cell.x + cell.y, 2.0) < 0.5 ? 1.0 : 0.45;
    vec2 block = (floor(uv * 8.0) + 0.5) / 8.0;
    return light * vec3(0.35 + 0.6 * block.x, 0.35 + 0.6 * block.y, 0.95 - 0.3 * (block.x + block.y));
}
