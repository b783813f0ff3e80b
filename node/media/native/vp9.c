/* VP9 by libvpx, behind a few calls with plain arguments.
 *
 * libvpx changes the layout of its configuration from version to version, and offers one interface only: its headers. This file is
 * compiled against whichever version is installed, so that nothing on the side of Rust depends on a layout. It decides nothing and
 * checks nothing that codec/vp9 does not say it should. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vpx/vp8cx.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>
#include <vpx/vpx_encoder.h>

struct conclave_vp9_settings {
  uint32_t width;
  uint32_t height;
  uint32_t bitrate_kbps;
  uint32_t threads;
  uint32_t screen;
};

struct conclave_vp9_frame {
  const uint8_t *data; /* valid until the next call with the same encoder */
  size_t length;       /* 0 where the rate control left the picture out */
  uint32_t keyframe;
};

struct conclave_vp9_image {
  const uint8_t *planes[3]; /* valid until the next call with the same decoder */
  uint32_t strides[3];
  uint32_t width; /* 0 where the frame shows nothing */
  uint32_t height;
  uint32_t is_i420;
};

struct conclave_vp9_encoder {
  vpx_codec_ctx_t context;
  vpx_codec_enc_cfg_t config;
};

struct conclave_vp9_decoder {
  vpx_codec_ctx_t context;
};

static void configure(vpx_codec_enc_cfg_t *config, const struct conclave_vp9_settings *settings) {
  config->g_w = settings->width;
  config->g_h = settings->height;
  config->g_profile = 0;
  config->g_timebase.num = 1;
  config->g_timebase.den = 1000; /* time stamps in milliseconds */
  config->g_threads = settings->threads;
  config->g_error_resilient = 0;
  config->g_pass = VPX_RC_ONE_PASS;
  config->g_lag_in_frames = 0;
  config->rc_end_usage = VPX_CBR;
  config->rc_target_bitrate = settings->bitrate_kbps;
  config->rc_min_quantizer = 4;
  config->rc_max_quantizer = 52;
  config->rc_undershoot_pct = 50;
  config->rc_overshoot_pct = 50;
  config->rc_buf_initial_sz = 500; /* milliseconds of the bitrate */
  config->rc_buf_optimal_sz = 600;
  config->rc_buf_sz = 1000;
  config->rc_dropframe_thresh = 30;
  config->rc_resize_allowed = 0;
  config->kf_mode = VPX_KF_DISABLED; /* keyframes on request only */
}

static vpx_codec_err_t control(vpx_codec_ctx_t *context, int screen) {
  vpx_codec_err_t status;
#define SET(name, value)                                      \
  do {                                                        \
    status = vpx_codec_control(context, name, value);         \
    if (status != VPX_CODEC_OK) return status;                \
  } while (0)
  SET(VP8E_SET_CPUUSED, 8);
  SET(VP8E_SET_STATIC_THRESHOLD, 1);
  /* What a keyframe may take, in percent of an average frame: at 15 a second somewhat over half a second of them. */
  SET(VP8E_SET_MAX_INTRA_BITRATE_PCT, 900);
  SET(VP9E_SET_TUNE_CONTENT, screen ? VP9E_CONTENT_SCREEN : VP9E_CONTENT_DEFAULT);
  SET(VP9E_SET_AQ_MODE, screen ? 0 : 3);
  SET(VP9E_SET_ROW_MT, 1);
  SET(VP9E_SET_TILE_COLUMNS, 1);
  SET(VP9E_SET_FRAME_PARALLEL_DECODING, 0);
  SET(VP9E_SET_GF_CBR_BOOST_PCT, 0);
  SET(VP9E_SET_NOISE_SENSITIVITY, 0);
#undef SET
  return VPX_CODEC_OK;
}

const char *conclave_vp9_message(int32_t status) { return vpx_codec_err_to_string((vpx_codec_err_t)status); }

void conclave_vp9_encoder_free(struct conclave_vp9_encoder *encoder) {
  if (encoder == NULL) return;
  vpx_codec_destroy(&encoder->context);
  free(encoder);
}

int32_t conclave_vp9_encoder_new(const struct conclave_vp9_settings *settings, struct conclave_vp9_encoder **out) {
  struct conclave_vp9_encoder *encoder = calloc(1, sizeof(*encoder));
  vpx_codec_err_t status;
  *out = NULL;
  if (encoder == NULL) return VPX_CODEC_MEM_ERROR;
  status = vpx_codec_enc_config_default(vpx_codec_vp9_cx(), &encoder->config, 0);
  if (status == VPX_CODEC_OK) {
    configure(&encoder->config, settings);
    status = vpx_codec_enc_init(&encoder->context, vpx_codec_vp9_cx(), &encoder->config, 0);
  }
  if (status != VPX_CODEC_OK) {
    free(encoder); /* a failed initialisation has destroyed its context */
    return status;
  }
  status = control(&encoder->context, settings->screen != 0);
  if (status != VPX_CODEC_OK) {
    conclave_vp9_encoder_free(encoder);
    return status;
  }
  *out = encoder;
  return VPX_CODEC_OK;
}

int32_t conclave_vp9_encoder_set_bitrate(struct conclave_vp9_encoder *encoder, uint32_t bitrate_kbps) {
  encoder->config.rc_target_bitrate = bitrate_kbps;
  return vpx_codec_enc_config_set(&encoder->context, &encoder->config);
}

/* `planes` are those of an I420 picture of the encoder's size; they are read during the call only. */
int32_t conclave_vp9_encoder_encode(struct conclave_vp9_encoder *encoder, const uint8_t *const planes[3], const uint32_t strides[3],
                                    int64_t pts_ms, uint32_t duration_ms, uint32_t force_keyframe,
                                    struct conclave_vp9_frame *frame) {
  vpx_image_t image;
  vpx_codec_iter_t iter = NULL;
  const vpx_codec_cx_pkt_t *packet;
  vpx_codec_err_t status;
  int plane;

  memset(frame, 0, sizeof(*frame));
  /* The pointer is replaced below. libvpx takes the image as const, hence the casts. */
  if (vpx_img_wrap(&image, VPX_IMG_FMT_I420, encoder->config.g_w, encoder->config.g_h, 1, (unsigned char *)planes[0]) == NULL) {
    return VPX_CODEC_INVALID_PARAM;
  }
  for (plane = 0; plane < 3; ++plane) {
    image.planes[plane] = (unsigned char *)planes[plane];
    image.stride[plane] = (int)strides[plane];
  }
  status = vpx_codec_encode(&encoder->context, &image, pts_ms, duration_ms, force_keyframe ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME);
  if (status != VPX_CODEC_OK) return status;
  while ((packet = vpx_codec_get_cx_data(&encoder->context, &iter)) != NULL) {
    if (packet->kind != VPX_CODEC_CX_FRAME_PKT) continue;
    frame->data = packet->data.frame.buf;
    frame->length = packet->data.frame.sz;
    frame->keyframe = (packet->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
  }
  return VPX_CODEC_OK;
}

void conclave_vp9_decoder_free(struct conclave_vp9_decoder *decoder) {
  if (decoder == NULL) return;
  vpx_codec_destroy(&decoder->context);
  free(decoder);
}

int32_t conclave_vp9_decoder_new(struct conclave_vp9_decoder **out) {
  struct conclave_vp9_decoder *decoder = calloc(1, sizeof(*decoder));
  vpx_codec_dec_cfg_t config = { 0 };
  vpx_codec_err_t status;
  *out = NULL;
  if (decoder == NULL) return VPX_CODEC_MEM_ERROR;
  config.threads = 1;
  status = vpx_codec_dec_init(&decoder->context, vpx_codec_vp9_dx(), &config, 0);
  if (status != VPX_CODEC_OK) {
    free(decoder);
    return status;
  }
  *out = decoder;
  return VPX_CODEC_OK;
}

/* `length` is not 0. */
int32_t conclave_vp9_decoder_decode(struct conclave_vp9_decoder *decoder, const uint8_t *data, uint32_t length,
                                    struct conclave_vp9_image *image) {
  vpx_codec_iter_t iter = NULL;
  const vpx_image_t *decoded;
  vpx_codec_err_t status;
  int plane;

  memset(image, 0, sizeof(*image));
  status = vpx_codec_decode(&decoder->context, data, length, NULL, 0);
  if (status != VPX_CODEC_OK) return status;
  decoded = vpx_codec_get_frame(&decoder->context, &iter);
  if (decoded == NULL) return VPX_CODEC_OK;
  for (plane = 0; plane < 3; ++plane) {
    image->planes[plane] = decoded->planes[plane];
    image->strides[plane] = decoded->stride[plane] < 0 ? 0 : (uint32_t)decoded->stride[plane];
  }
  image->width = decoded->d_w;
  image->height = decoded->d_h;
  image->is_i420 = decoded->fmt == VPX_IMG_FMT_I420;
  return VPX_CODEC_OK;
}
