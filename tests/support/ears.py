"""Ears for a page in a browser: how loud it is, channel by channel."""

# What reaches the loudspeakers goes to two analysers too, a channel each; nothing of this is in the page.
SPY = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    const splitter = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    window.ears ??= [0, 1].map(() => new AnalyserNode(this.context, { fftSize: 4096 }));
    connect.call(this, splitter);
    window.ears.forEach((ear, channel) => connect.call(splitter, ear, channel));
  }
  return connect.call(this, target, ...rest);
};
window.loudness = () => (window.ears ?? []).map((ear) => {
  const samples = new Float32Array(ear.fftSize);
  ear.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
});
const decode = BaseAudioContext.prototype.decodeAudioData;
window.decoded = [];
BaseAudioContext.prototype.decodeAudioData = async function (data) {
  const buffer = await decode.call(this, data);
  window.decoded.push(buffer.duration);
  return buffer;
};
"""
