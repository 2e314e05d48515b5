#version 410 core
// The head, all parts and all channels. Display values leave here: one target, no pass after it.
// Compiled once per kind of part (SKIN, EYE, HAIR or TISSUE is defined) and for each channel that needs no light (PLAIN, with
// SHOWN as the channel), because a software rasteriser walks through both sides of every branch. With PASSES, light leaves
// in linear floats instead: scatter.frag spreads what enters the skin and combine.frag puts the picture together; LAYERS
// adds what the surface is made of. With SAMPLE, linear light of one frame of a picture that converges: all light has
// shadows, nothing is baked. With FLAT the skin is laid out as its maps are. With CHANGES, the maps are the neutral's, and
// what expressions change in them is applied here. With BY_TRIANGLE the picture is shaded, not the triangles: see
// common/triangle.glsl.
#include "common/display.glsl"
#include "common/views.glsl"
#if defined(CHANGES)
#include "common/change.glsl"
#endif
#if defined(BY_TRIANGLE)
#include "common/triangle.glsl"
#endif
#include "lighting/surface.glsl"
#if defined(HAIR)
#include "lighting/hair.glsl"
#define shade shade_hair
#endif
#if defined(PASSES) && defined(SKIN)
#include "lighting/transmission.glsl"
#endif

uniform sampler2D t_diffuse;       // sRGB-encoded
uniform sampler2D t_specular;      // rgb specular, a perceptual roughness
uniform sampler2D t_slope;
uniform sampler2D t_eye;           // sRGB-encoded
uniform vec4 u_tissue;             // rgb linear albedo, a perceptual roughness
uniform vec2 u_tissue_depth;       // F0, curvature that stands for translucency (1/m)
// Many samples average a map themselves, and better than its mip levels, which hold means of encoded values.
#if defined(SAMPLE)
#define SHARPER -2.0
#else
#define SHARPER 0.0
#endif
#if defined(BY_TRIANGLE)
#define MAP(t) textureLod(t, v_uv, level)
float level;                       // of detail in the maps
#define v_position here.position
#define v_normal here.normal
#define v_uv here.uv
#define v_still here.still
#define v_sky here.sky
#define v_reach here.reach
#define FRONT here.front
#else
#define MAP(t) texture(t, v_uv, SHARPER)
#define FRONT gl_FrontFacing
in vec3 v_position;
in vec3 v_normal;
in vec2 v_uv;
in vec2 v_still;
in vec4 v_sky;
in vec3 v_reach;
#endif
#if defined(PASSES)
// Means over the samples of a pixel stay usable: what does not scatter leaves 0 in the first.
layout(location = 0) out vec4 o_scattered;       // light inside the skin, without albedo; a 1 where light spreads
layout(location = 1) out vec4 o_reflected;       // specular light; without LAYERS also diffuse light that does not spread
layout(location = 2) out vec4 o_albedo;          // without LAYERS of what spreads only; a perceptual roughness
#if defined(LAYERS)
layout(location = 3) out vec4 o_diffuse;         // diffuse light that does not spread, albedo included
layout(location = 4) out vec4 o_specular;        // F0
layout(location = 5) out vec4 o_normal;          // world, with the slopes of the map
layout(location = 6) out vec4 o_position;        // metres, a distance along the view axis
#endif
#else
out vec4 o_color;
#endif

// Schueler 2013, "Followup: Normal Mapping without Precomputed Tangents": the directions in which u grows and v
// shrinks, from screen derivatives, so mirrored and seamed layouts need no care. Slope x is along +U, slope y up the image.
vec3 mapped_normal(vec3 n, vec2 slope) {
    #if defined(BY_TRIANGLE)       // any two directions in the triangle do
    vec3 px = here.edge_a, py = here.edge_b;
    vec2 tx = here.uv_a, ty = here.uv_b;
    #else
    vec3 px = dFdx(v_position), py = dFdy(v_position);
    vec2 tx = dFdx(v_uv), ty = dFdy(v_uv);
    #endif
    vec3 across = cross(py, n), along = cross(n, px);
    vec3 grow_u = across * tx.x + along * ty.x;
    vec3 grow_v = across * tx.y + along * ty.y;
    #if defined(BY_TRIANGLE)
    const float sides = 1.0;
    #elif defined(FLAT)
    float sides = dot(cross(px, py), n) < 0.0 ? -1.0 : 1.0;   // a mirrored chart is seen from behind
    #else
    float sides = FRONT ? 1.0 : -1.0;
    #endif
    float u2 = dot(grow_u, grow_u), v2 = dot(grow_v, grow_v);
    if (min(u2, v2) <= 0.0) return n;
    return normalize(n + sides * (slope.x * grow_u * inversesqrt(u2) - slope.y * grow_v * inversesqrt(v2)));
}

// Where a sample lies alone at the edge of a triangle, these are read in the middle of the pixel, outside of the triangle.
float occlusion_here() { return saturate(v_still.x); }
vec3 reach_here() { return saturate(v_reach); }

#if defined(SKIN)
struct Maps {
    vec3 albedo;                   // linear
    vec4 specular;                 // a perceptual roughness
    vec2 slope;
    float variance;                // of the slopes that the fetch averaged
};

Maps maps_here() {
    vec3 moments = MAP(t_slope).rgb;
    Maps maps = Maps(linear_from_srgb(MAP(t_diffuse).rgb), MAP(t_specular), moments.rg, slope_variance(moments));
    #if defined(CHANGES)
    Change change = change_at(v_uv);
    maps.albedo = changed(maps.albedo, change.log_diffuse);
    maps.specular.rgb = changed(maps.specular.rgb, change.log_specular);
    maps.specular.a = saturate(maps.specular.a + change.roughness);
    maps.slope += change.slope;
    #endif
    return maps;
}

Surface part_surface(vec3 n) {
    Maps maps = maps_here();
    vec3 f0 = min(maps.specular.rgb * u_material.x, vec3(1.0));
    vec3 mapped = mapped_normal(n, maps.slope);
    #if defined(SAMPLE)
    float roughness = maps.specular.a;
    #else
    float roughness = roughness_with_slopes(maps.specular.a, maps.variance);
    #endif
    #if defined(PASSES)
    float scatters = 0.0;          // light is spread on the screen instead
    #else
    float scatters = u_material.z;
    #endif
    return Surface(maps.albedo, f0, roughness, mapped, n, scatters * SCATTER_SMOOTHING, scatters * max(v_still.y, 1.0),
                   occlusion_here(), reach_here(), v_sky);
}
#elif defined(EYE)
// The cornea is a smaller ball (7.8 mm) on the eyeball (12 mm), the iris behind it a shallow bowl: highlights gather
// over the iris, and the iris is brighter on the side away from the light.
Surface part_surface(vec3 n) {
    vec3 albedo = linear_from_srgb(texture(t_eye, v_uv).rgb);
    vec2 off_axis = (v_uv - 0.5) * vec2(1.0, -1.0);
    float cornea = 1.0 - smoothstep(0.16, 0.21, length(off_axis));
    vec3 bulge = mapped_normal(n, off_axis * (0.7 * cornea));
    vec3 bowl = mapped_normal(n, off_axis * (-1.8 * cornea));
    const float lashes = 0.8;      // they are not drawn, but they shade
    // F0 of cornea and tears, n = 1.376
    return Surface(albedo, vec3(0.025), 0.08, bulge, bowl, vec3(1.0), 40.0 * u_material.z, occlusion_here() * lashes, reach_here() * lashes, v_sky);
}
#elif defined(HAIR)
// The normal is the hair's own direction, from its root to its tip, in which v grows; the smooth one is that of the ribbon,
// which lies as the skin below does, and is rounded as the lock is. A ribbon is many hairs side by side, each with its
// own length, tone and lean; v_sky says where in it: engine.face.strands.fibre_places.
Surface part_surface(vec3 n) {
    float side = clamp(v_sky.x, -1.0, 1.0), along = v_sky.y, count = v_sky.w;
    float place = (0.5 + 0.4999 * side) * count, number = floor(place);
    float own = fract(52.9829189 * fract(0.06711056 * number + 0.00583715 * (floor(v_sky.z + 0.5) + 7.0 * count)));
    float other = fract(own * 57.31 + 0.37);
    float pixel = fwidth((0.5 + 0.5 * side) * count);   // hairs in it: where there are many, gaps between them are not seen
    vec3 px = dFdx(v_position), py = dFdy(v_position);
    vec3 grows = cross(py, n) * dFdx(v_uv.y) + cross(n, px) * dFdy(v_uv.y);
    float size = dot(grows, grows);
    vec3 tangent = size > 0.0 ? grows * inversesqrt(size) : vec3(0.0, -1.0, 0.0);
    vec3 outward = FRONT ? n : -n;     // whichever side is seen
    vec3 across = cross(outward, tangent);
    tangent = normalize(tangent + (0.30 * (own - 0.5)) * outward + (0.20 * (other - 0.5)) * across);
    float lock = fract(52.9829189 * fract(0.0371 * floor(number / 7.0) + 0.00683 * floor(v_sky.z + 0.5)));
    vec3 albedo = linear_from_srgb(textureLod(t_diffuse, v_uv, 0.0).rgb) * (0.45 + 0.6 * other + 0.5 * lock);
    float roughness = textureLod(t_specular, v_uv, 0.0).a;
    float half_width = mix(mix(0.46, 0.36, along), 0.5, saturate(1.4 * pixel - 0.4));
    float ragged = mix(1.0, 0.25, saturate(count / 30.0));   // wide ones are long
    if (count > 1.5 && (along > 1.0 - 0.35 * ragged * own || along < 0.12 * ragged * other || abs(place - number - 0.5) > half_width)) discard;
    return Surface(albedo, vec3(0.0465), roughness, tangent, outward, vec3(0.0), 0.0, occlusion_here(), reach_here(), open_sky(outward));
}
#else
// One material for a whole part that no map describes: gums and tongue, teeth, socket. See engine/render/passes.py.
Surface part_surface(vec3 n) {
    return Surface(u_tissue.rgb, vec3(u_tissue_depth.x), u_tissue.a, n, n, vec3(0.0), u_tissue_depth.y * u_material.z, occlusion_here(),
                   reach_here(), open_sky(n));
}
#endif

#if defined(PLAIN)
in vec2 v_offset;                  // m, distance from neutral, and along its normal
uniform vec3 u_part;               // display-encoded colour of the part
uniform sampler2D t_neutral_diffuse;    // as t_diffuse ...
uniform sampler2D t_neutral_specular;
uniform sampler2D t_neutral_slope;

float on_scale(float value) { return (value - u_scale.x) / (u_scale.y - u_scale.x); }

// The channel where a map says something; `known` is false where none does.
vec3 map_color(Surface s, out bool known) {
    known = true;
    if (SHOWN == CHANNEL_UV) return vec3(fract(v_uv), 0.0);
    if (SHOWN == CHANNEL_UV_CHECKER) return uv_checker_color(v_uv);
    #if !defined(TISSUE)
    if (SHOWN == CHANNEL_DIFFUSE) return srgb_from_linear(s.albedo);
    #endif
    #if defined(SKIN)
    Maps maps = maps_here();
    vec4 specular = maps.specular;
    if (SHOWN == CHANNEL_SPECULAR) return specular.rgb;
    if (SHOWN == CHANNEL_ROUGHNESS) return vec3(specular.a);
    if (SHOWN == CHANNEL_NORMAL_MAP) return normalize(vec3(maps.slope, 1.0)) * 0.5 + 0.5;
    if (SHOWN == CHANNEL_DIFFUSE_CHANGE) {
        vec3 neutral = linear_from_srgb(texture(t_neutral_diffuse, v_uv).rgb);
        return diverging_color(on_scale(change_stops(s.albedo, neutral, u_scale.z)));
    }
    vec4 neutral = texture(t_neutral_specular, v_uv);
    if (SHOWN == CHANNEL_SPECULAR_CHANGE)
        return diverging_color(on_scale(change_stops(specular.rgb, neutral.rgb, u_scale.z)));
    if (SHOWN == CHANNEL_ROUGHNESS_CHANGE) return diverging_color(on_scale(specular.a - neutral.a));
    if (SHOWN == CHANNEL_NORMAL_CHANGE)
        return sequential_color(on_scale(slope_angle_degrees(maps.slope, texture(t_neutral_slope, v_uv).rg)));
    #endif
    known = false;
    return vec3(0.0);
}

vec3 final_color(Surface s) {
    if (SHOWN == CHANNEL_NORMAL) return s.normal * 0.5 + 0.5;
    if (SHOWN == CHANNEL_MESH_NORMAL) return s.smooth_normal * 0.5 + 0.5;
    if (SHOWN == CHANNEL_OCCLUSION) return vec3(v_still.x);
    if (SHOWN == CHANNEL_POSITION) return (v_position - u_ball.xyz) / u_ball.w * 0.5 + 0.5;
    if (SHOWN == CHANNEL_PARTS) return u_part;
    if (SHOWN == CHANNEL_F0) return sequential_color(on_scale(luminance(s.f0)));
    if (SHOWN == CHANNEL_CURVATURE) return sequential_color(on_scale(v_still.y));
    if (SHOWN == CHANNEL_OFFSET) return sequential_color(on_scale(1000.0 * v_offset.x));
    if (SHOWN == CHANNEL_OFFSET_NORMAL) return diverging_color(on_scale(1000.0 * v_offset.y));
    #if !defined(FLAT)
    if (SHOWN == CHANNEL_DEPTH) return sequential_color(on_scale(1000.0 / gl_FragCoord.w));
    #endif
    // A part without texture coordinates has one for all of it, but for rounding.
    bool laid_out = dot(fwidth(v_uv), vec2(1.0)) > 1e-6;
    bool known;
    vec3 color = map_color(s, known);
    return laid_out && known ? color : no_data_color(v_position);
}
#elif !defined(PASSES)
vec3 final_color(Surface s) {
    int channel = int(u_display.z);
    Light light = shade(s, v_position);
    vec3 sum = light.scattered * s.albedo + light.specular;
    if (channel == CHANNEL_DIFFUSE_LIGHT) sum = light.scattered;
    if (channel == CHANNEL_SPECULAR_LIGHT) sum = light.specular;
    #if defined(SAMPLE)
    return sum;
    #else
    return display_from_light(sum);
    #endif
}
#endif

void main() {
    #if defined(BY_TRIANGLE)
    here = point_here(max(int(texelFetch(t_triangles, ivec2(gl_FragCoord.xy), 0).r), 1));
    level = level_of_detail(here.uv_x, here.uv_y, vec2(textureSize(t_diffuse, 0))) + SHARPER;
    #endif
    #if defined(FLAT)
    Surface s = part_surface(normalize(v_normal));
    #else
    Surface s = part_surface(normalize(v_normal) * (FRONT ? 1.0 : -1.0));
    #if !defined(HAIR)
    if (!FRONT) {                      // the inside of an open neck
        s.occlusion *= 0.25;
        s.reach *= 0.25;
    }
    #endif
    #endif
    #if defined(PASSES)
    const float most = 6e4;        // half floats
    #if defined(SKIN) && defined(FLAT)
    float spreads = u_material.z;
    #elif defined(SKIN)
    float spreads = FRONT ? u_material.z : 0.0;
    #else
    float spreads = 0.0;
    #endif
    Light light = shade(s, v_position);
    if (int(u_display.z) == CHANNEL_DIFFUSE_LIGHT) {
        s.albedo = vec3(1.0);
        light.specular = vec3(0.0);
    }
    o_scattered = vec4(min(light.scattered, most), 1.0) * spreads;
    #if defined(SKIN)
    if (spreads > 0.0) o_scattered.rgb += transmitted_light(v_position, s.smooth_normal) * (1.0 - s.f0);
    #endif
    vec3 stays = light.scattered * s.albedo * (1.0 - spreads);
    #if !defined(LAYERS)
    o_reflected = vec4(min(light.specular + stays, most), 1.0);
    o_albedo = vec4(s.albedo * spreads, s.roughness);
    #else
    o_reflected = vec4(light.specular, 1.0);
    #if defined(SKIN)
    float roughness = maps_here().specular.a;   // without what slopes add to it
    #else
    float roughness = s.roughness;
    #endif
    o_albedo = vec4(s.albedo, roughness);
    o_diffuse = vec4(stays, 1.0);
    o_specular = vec4(s.f0, 1.0);
    o_normal = vec4(s.normal, 1.0);
    o_position = vec4(v_position, (u_clip_from_world * vec4(v_position, 1.0)).w);
    #endif
    #else
    o_color = vec4(final_color(s), 1.0);
    #endif
}
