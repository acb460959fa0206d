namespace Xfrmd.Datapath.Capture;

/// <summary>Brings the workers of a namespace and those who capture together, whichever comes first.</summary>
/// <param name="time">What packets are stamped with: the machine's clock, whatever that of the SAs says.</param>
public sealed class CaptureHub(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly List<CaptureTap> _taps = [];
    private readonly List<PacketCapture> _captures = [];

    /// <summary>A new worker's.</summary>
    public CaptureTap AddTap()
    {
        lock (_lock)
        {
            CaptureTap tap = new(time);
            _taps.Add(tap);
            _captures.ForEach(capture => capture.Join(tap));
            return tap;
        }
    }

    /// <summary>Begins to capture.</summary>
    /// <param name="snapLength">Bytes kept of each packet at most.</param>
    public PacketCapture Start(int snapLength)
    {
        lock (_lock)
        {
            PacketCapture capture = new(this, time, snapLength);
            _taps.ForEach(capture.Join);
            _captures.Add(capture);
            return capture;
        }
    }

    internal void End(PacketCapture capture)
    {
        lock (_lock)
        {
            _captures.Remove(capture);
            _taps.ForEach(capture.Leave);
        }
    }
}
