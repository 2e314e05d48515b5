const int MOST_LIGHTS = 6;         // sources.py

// Everything that is the same for one whole frame; engine/render/frame.py packs it in this order.
layout(std140) uniform Frame {
    mat4 u_clip_from_world;
    mat4 u_world_from_clip;
    mat4 u_shadow_from_world[MOST_LIGHTS];  // to 0..1 in x, y and depth
    vec4 u_eye_m;                  // xyz
    vec4 u_light_direction[MOST_LIGHTS];    // xyz towards the light, half its angle (rad)
    vec4 u_light_irradiance[MOST_LIGHTS];   // rgb, of a point or spot in 1 m, of a rectangle that fills the sky; red fringe
    vec4 u_light_position[MOST_LIGHTS];     // xyz of a point or spot, of a rectangle its corner (m), scale of a cone
    vec4 u_light_right[MOST_LIGHTS];        // xyz side of a rectangle (m), offset of a cone
    vec4 u_light_up[MOST_LIGHTS];           // xyz side of a rectangle (m), 1 for a point of a flat lamp
    vec4 u_shadow[MOST_LIGHTS];    // map size (texels), offset along the normal (m), depth bias, 1 in perspective
    vec4 u_penumbra[MOST_LIGHTS];  // near and far (m), half width and height of the light for penumbra_size
    vec4 u_lights;                 // first point or spot, first rectangle: they come in this order; width and height of the picture (px)
    vec4 u_environment;            // cos and sin of the rotation, scale of the light, 1 when it is the backdrop
    vec4 u_display;                // scale of the whole picture, tone curve, channel, unused
    vec4 u_material;               // F0 per unit of specular map, number of lights, 1 when skin scatters, unused
    vec4 u_scale;                  // values at both ends of the channel's colour scale, floor of ratios, unused
    vec4 u_ball;                   // around the head: centre and radius (m)
};

const int CHANNEL_SHADED = 0;
const int CHANNEL_DIFFUSE = 1;
const int CHANNEL_SPECULAR = 2;
const int CHANNEL_ROUGHNESS = 3;
const int CHANNEL_NORMAL_MAP = 4;
const int CHANNEL_NORMAL = 5;
const int CHANNEL_GEOMETRY = 6;
const int CHANNEL_DIFFUSE_LIGHT = 7;
const int CHANNEL_SPECULAR_LIGHT = 8;
const int CHANNEL_UV = 9;
const int CHANNEL_OFFSET = 10;
const int CHANNEL_F0 = 11;
const int CHANNEL_MESH_NORMAL = 12;
const int CHANNEL_OCCLUSION = 13;
const int CHANNEL_CURVATURE = 14;
const int CHANNEL_DEPTH = 15;
const int CHANNEL_POSITION = 16;
const int CHANNEL_UV_CHECKER = 17;
const int CHANNEL_PARTS = 18;
const int CHANNEL_OFFSET_NORMAL = 19;
const int CHANNEL_DIFFUSE_CHANGE = 20;
const int CHANNEL_SPECULAR_CHANGE = 21;
const int CHANNEL_ROUGHNESS_CHANGE = 22;
const int CHANNEL_NORMAL_CHANGE = 23;

const int TONE_NEUTRAL = 0;
const int TONE_LINEAR = 1;
const int TONE_AGX = 2;
const int TONE_ACES = 3;
