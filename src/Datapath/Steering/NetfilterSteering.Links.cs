using System.Globalization;
using Xfrmd.Kernel;
using Xfrmd.Linux;

namespace Xfrmd.Datapath.Steering;

// The interfaces of kind xfrm that programs make and delete: each is the device of its if_id.
public sealed partial class NetfilterSteering
{
    private const string NumberPlace = "%d";

    public Errno CreateLink(string name, uint ifId, out int ifindex)
    {
        ifindex = 0;
        lock (_lock)
        {
            if (Resolve(name) is not { } free)
            {
                return Errno.EEXIST;
            }
            SteeringDevice? device = _devices.FirstOrDefault(d => d.DeviceClass < 0 && d.IfId == ifId);
            if (device is { IsUsers: true })
            {
                return Errno.EEXIST;
            }
            try
            {
                device = device is null ? AddDevice(free, ifId, default, 0, -1, users: true) : Rename(device, free);
            }
            catch (LinuxException e)
            {
                _logger.Broken(e.Message);
                return (Errno)e.Errno;
            }
            device.IsUsers = true;
            _down.Remove(device);
            CommitOrRewrite();
            ifindex = device.Tun.Ifindex;
            return Errno.None;
        }
    }

    public bool DeleteLink(int ifindex, string name)
    {
        SteeringDevice? device;
        lock (_lock)
        {
            device = _devices.FirstOrDefault(d => d.DeviceClass < 0 && (ifindex > 0 ? d.Tun.Ifindex == ifindex : d.Tun.Name == name));
            if (device is null)
            {
                return false;
            }
            _devices = [.. _devices.Where(d => d != device)];
            _down.Remove(device);
            _base.RemoveDevice(device);
            CommitOrRewrite();
        }
        DeviceRemoved?.Invoke(device);
        device.Dispose();
        return true;
    }

    /// <summary>What stood there for the SAs alone becomes the interface that the user named.</summary>
    private SteeringDevice Rename(SteeringDevice device, string name)
    {
        _base.RemoveDevice(device);
        int errno = device.Tun.Rename(name, _routes);
        _base.WriteIngressOf(device);
        return errno == 0 ? device : throw new LinuxException(errno, "rename of " + device.Tun.Name);
    }

    /// <summary>The name with its number (<c>dev_alloc_name</c>), or null where it is taken.</summary>
    private string? Resolve(string name)
    {
        if (!name.Contains(NumberPlace, StringComparison.Ordinal))
        {
            return _routes.FindLink(name) is null ? name : null;
        }
        for (int number = 0; ; number++)
        {
            string numbered = name.Replace(NumberPlace, number.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
            if (_routes.FindLink(numbered) is null)
            {
                return numbered;
            }
        }
    }
}
