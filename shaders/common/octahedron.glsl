// Meyer, Suessmuth, Sussner, Stamminger and Greiner 2010, "On Floating-Point Normal Vectors": the sphere on a square.
// +Y is the middle of the square, -Y its four corners.

vec2 octahedron_from_direction(vec3 direction) {
    vec3 d = direction / (abs(direction.x) + abs(direction.y) + abs(direction.z));
    vec2 folded = (1.0 - abs(d.zx)) * vec2(d.x >= 0.0 ? 1.0 : -1.0, d.z >= 0.0 ? 1.0 : -1.0);
    return (d.y >= 0.0 ? d.xz : folded) * 0.5 + 0.5;
}

// `square` may lie a little outside 0..1: it then names the direction that continues over the edge.
vec3 direction_from_octahedron(vec2 square) {
    vec2 p = square * 2.0 - 1.0;
    if (abs(p.x) > 1.0) p = vec2(sign(p.x) * 2.0 - p.x, -p.y);
    if (abs(p.y) > 1.0) p = vec2(-p.x, sign(p.y) * 2.0 - p.y);
    float y = 1.0 - abs(p.x) - abs(p.y);
    vec2 unfolded = (1.0 - abs(p.yx)) * vec2(p.x >= 0.0 ? 1.0 : -1.0, p.y >= 0.0 ? 1.0 : -1.0);
    vec2 xz = y >= 0.0 ? p : unfolded;
    return normalize(vec3(xz.x, y, xz.y));
}

// The atlas: 4 x 2 square tiles of ATLAS_TILE texels with a border of one texel each, so that bilinear fetches stay
// right at the edges. Tiles 0..5 are GGX-filtered radiance at perceptual roughness 0, 0.2 .. 1; tile 6 is irradiance / pi.
const float ATLAS_TILE = 128.0;
const vec2 ATLAS_TILES = vec2(4.0, 2.0);
const float ATLAS_LEVELS = 6.0;
const float ATLAS_IRRADIANCE = 6.0;

vec2 atlas_uv(vec2 square, float tile) {
    vec2 corner = vec2(mod(tile, ATLAS_TILES.x), floor(tile / ATLAS_TILES.x));
    return (corner * ATLAS_TILE + 1.0 + square * (ATLAS_TILE - 2.0)) / (ATLAS_TILES * ATLAS_TILE);
}
