#include "common/frame.glsl"
#include "common/math.glsl"

// What a pixel shows, from the number of its triangle: Burns and Hunt 2013, "The Visibility Buffer: A Cache-Friendly
// Approach to Deferred Shading". A rasteriser shades whole blocks of pixels for each triangle that touches them, and a head
// has a triangle for every ten pixels; so on a processor it pays to shade the picture instead, each pixel once.
uniform sampler2D t_triangles;     // triangles.frag; 0 where nothing is seen
uniform sampler2D t_corners;       // the three vertices of each triangle
uniform sampler2D t_moving;        // two texels a vertex, as MOVING of engine/render/upload.py
uniform sampler2D t_still;         // two texels a vertex, as STILL
uniform sampler2D t_reach;         // one texel a vertex

const int TABLE_WIDTH = 1024;      // upload.py

struct Point {
    vec3 position;                 // m
    vec3 normal;                   // interpolated, not of length 1
    vec2 uv;
    vec2 still;                    // occlusion, curvature
    vec4 sky;
    vec3 reach;                    // share of the environment's light
    bool front;
    vec3 edge_a, edge_b;           // of the triangle, m
    vec2 uv_a, uv_b;               // along them
    vec3 step_x, step_y;           // of the position from a pixel to the next, m
    vec2 uv_x, uv_y;               // of the texture coordinates
};

Point here;                        // the one that is shaded

vec4 table(sampler2D t, int index) { return texelFetch(t, ivec2(index % TABLE_WIDTH, index / TABLE_WIDTH), 0); }

// Where the ray d from the eye meets the plane of the triangle with one corner at -t from the eye and edges a, b: shares of
// the edges, and how they change with steps of the ray (Moeller and Trumbore 1997, "Fast, Minimum Storage Ray/Triangle
// Intersection", as ratios that are linear in d).
struct Shares { vec2 at, dx, dy; float facing; };
Shares shares_on(vec3 t, vec3 a, vec3 b, vec3 d, vec3 dx, vec3 dy) {
    vec3 below = cross(b, a), first = cross(b, t), second = cross(t, a);
    float facing = dot(d, below);
    float scale = 1.0 / (abs(facing) < 1e-20 ? 1e-20 : facing);
    Shares s;
    s.at = vec2(dot(d, first), dot(d, second)) * scale;
    s.dx = (vec2(dot(dx, first), dot(dx, second)) - s.at * dot(dx, below)) * scale;
    s.dy = (vec2(dot(dy, first), dot(dy, second)) - s.at * dot(dy, below)) * scale;
    s.facing = facing;
    return s;
}

// Of the triangle `number`, from 1, in the pixel that is shaded.
Point point_here(int number) {
    ivec3 corners = ivec3(table(t_corners, number - 1).xyz);
    vec2 size = u_lights.zw;
    vec4 h = u_world_from_clip * vec4(gl_FragCoord.xy / size * 2.0 - 1.0, 1.0, 1.0);
    vec3 d = h.xyz / h.w - u_eye_m.xyz;
    vec3 dx = u_world_from_clip[0].xyz * (2.0 / (size.x * h.w)), dy = u_world_from_clip[1].xyz * (2.0 / (size.y * h.w));
    vec4 m0 = table(t_moving, 2 * corners.x), m1 = table(t_moving, 2 * corners.y), m2 = table(t_moving, 2 * corners.z);
    vec2 n0 = table(t_moving, 2 * corners.x + 1).xy, n1 = table(t_moving, 2 * corners.y + 1).xy;
    vec2 n2 = table(t_moving, 2 * corners.z + 1).xy;
    vec4 s0 = table(t_still, 2 * corners.x), s1 = table(t_still, 2 * corners.y), s2 = table(t_still, 2 * corners.z);
    vec4 k0 = table(t_still, 2 * corners.x + 1), k1 = table(t_still, 2 * corners.y + 1), k2 = table(t_still, 2 * corners.z + 1);
    Point p;
    p.edge_a = m1.xyz - m0.xyz;
    p.edge_b = m2.xyz - m0.xyz;
    p.uv_a = s1.xy - s0.xy;
    p.uv_b = s2.xy - s0.xy;
    Shares s = shares_on(u_eye_m.xyz - m0.xyz, p.edge_a, p.edge_b, d, dx, dy);
    vec2 at = s.at;
    float rest = 1.0 - at.x - at.y;
    p.position = m0.xyz + at.x * p.edge_a + at.y * p.edge_b;
    p.normal = rest * vec3(m0.w, n0) + at.x * vec3(m1.w, n1) + at.y * vec3(m2.w, n2);
    p.uv = s0.xy + at.x * p.uv_a + at.y * p.uv_b;
    p.still = rest * s0.zw + at.x * s1.zw + at.y * s2.zw;
    p.sky = rest * k0 + at.x * k1 + at.y * k2;
    p.reach = rest * table(t_reach, corners.x).rgb + at.x * table(t_reach, corners.y).rgb + at.y * table(t_reach, corners.z).rgb;
    p.front = s.facing > 0.0;
    p.step_x = s.dx.x * p.edge_a + s.dx.y * p.edge_b;
    p.step_y = s.dy.x * p.edge_a + s.dy.y * p.edge_b;
    p.uv_x = s.dx.x * p.uv_a + s.dx.y * p.uv_b;
    p.uv_y = s.dy.x * p.uv_a + s.dy.y * p.uv_b;
    return p;
}

// Level of detail of a map of `size` texels: OpenGL 4.1 core, section 3.9.11, eq. 3.21.
float level_of_detail(vec2 uv_x, vec2 uv_y, vec2 size) {
    vec2 x = uv_x * size, y = uv_y * size;
    return 0.5 * log2(max(max(dot(x, x), dot(y, y)), 1e-12));
}

// A difference between two pixels of a quad counts as long as both show the same surface, that is where the position has
// changed by not much more than in the plane of the triangle.
float same_surface(vec3 step, vec3 plane_step) {
    return dot(step, step) <= 16.0 * dot(plane_step, plane_step) ? 1.0 : 0.0;
}
